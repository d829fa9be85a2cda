"""What the owner sees of an inbound event: its headers without secrets, and its payload."""

from guestbook import pretty
from guestbook.inbox import bodies, signatures
from guestbook.inbox.bodies import BodyFault
from guestbook.models import InboundEvent
from guestbook.pretty import View
from guestbook.sender import HIDDEN


def headers(event: InboundEvent) -> dict[str, str]:
    """Return the headers that were kept; what stands in place of a secret tells nobody anything."""
    return {
        name: HIDDEN if value.startswith(signatures.PROOF) else value for name, value in event.headers.items()
    }


def payload(event: InboundEvent) -> list[View]:
    """Return the payload in each way in which it can be read, unpacked where it came compressed."""
    try:
        body = bodies.beginning(event.headers.get("content-encoding", ""), event.body, pretty.READ + 1)
    except BodyFault:
        body = event.body
    return pretty.views(body, event.headers.get("content-type", ""))
