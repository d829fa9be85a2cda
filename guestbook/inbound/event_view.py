"""What the owner sees of an inbound event: its headers without secrets, and its payload."""

from guestbook.inbound import body_parser, verification
from guestbook.inbound.body_parser import BodyFault
from guestbook.lib import byte_view
from guestbook.lib.byte_view import View
from guestbook.outbound.custom_headers import HIDDEN
from guestbook.storage.models import InboundEvent


def headers(event: InboundEvent) -> dict[str, str]:
    """Return the headers that were kept; what stands in place of a secret tells nobody anything."""
    return {
        name: HIDDEN if value.startswith(verification.PROOF) else value
        for name, value in event.headers.items()
    }


def payload(event: InboundEvent) -> list[View]:
    """Return the payload in each way in which it can be read, unpacked where it came compressed."""
    try:
        body = body_parser.beginning(
            event.headers.get("content-encoding", ""), event.body, byte_view.READ + 1
        )
    except BodyFault:
        body = event.body
    return byte_view.views(body, event.headers.get("content-type", ""))
