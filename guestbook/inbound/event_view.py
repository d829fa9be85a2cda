"""An inbound event for the owner's eyes: its headers without secrets, and its payload."""

from guestbook.inbound import body_parser
from guestbook.inbound.body_parser import BodyError
from guestbook.lib import byte_view
from guestbook.lib.byte_view import View
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.verification import verify_signature
from guestbook.storage.models import InboundEvent


def headers(event: InboundEvent) -> dict[str, str]:
    """Return the kept headers; the proof of a secret is hidden."""
    return {
        name: HIDDEN if value.startswith(verify_signature.PROOF) else value
        for name, value in event.headers.items()
    }


def payload(event: InboundEvent) -> list[View]:
    """Return each way to read the payload, unpacked if it was compressed."""
    try:
        body = body_parser.beginning(
            event.headers.get("content-encoding", ""), event.body, byte_view.READ_BYTES + 1
        )
    except BodyError:
        body = event.body
    return byte_view.views(body, event.headers.get("content-type", ""))
