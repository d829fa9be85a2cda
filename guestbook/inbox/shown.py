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


def payload(event: InboundEvent) -> View:
    """Return the payload as people read it, unpacked where it came compressed and can be unpacked."""
    try:
        body = bodies.unpacked(event.headers.get("content-encoding", ""), event.body)
    except BodyFault:
        body = event.body
    return pretty.view(body, event.headers.get("content-type", ""))
