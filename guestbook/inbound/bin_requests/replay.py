"""Send a bin's request to another URL, with the transport and the limits of webhooks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.outbound import sender, webhook_urls
from guestbook.settings import Settings
from guestbook.storage.models import BinRequest
from guestbook.transport import TransportError

# The transport makes these itself, or they concerned only the connection to us.
LEFT_OUT = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade")
)
NOTES = {
    "body_cut": "Only the beginning of the answer is shown.",
    "body_timeout": "The answer did not end in time.",
    "body_broken": "The answer broke off.",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """The answer, or why there is none."""

    url: str
    milliseconds: int
    status: int | None  # None without an answer
    headers: Mapping[str, str]
    body: bytes
    error: str  # the reason for a missing or incomplete answer


def check(row: BinRequest, url: str, settings: Settings) -> str:
    """Return the normalized URL; raises Refused."""
    if len(row.kept) < row.size:
        raise Refused("Only the first 256 kB of the body were kept, so it cannot be sent again.", field="url")
    return webhook_urls.web_destination(clean_line(url), settings)


def replay(row: BinRequest, url: str, settings: Settings) -> Replayed:
    """Send it with its method, headers and body to that URL. No transaction may be open."""
    headers = {name: value for name, value in row.pairs if name.lower() not in LEFT_OUT}
    one = sender.transport(settings)
    start = time.monotonic()
    try:
        answer = one.send(row.method, url, headers, row.kept)
    except TransportError as error:
        return Replayed(url, _since(start), None, {}, b"", str(error))
    finally:
        one.close()
    note = NOTES.get(answer.note, "") if answer.note else ""
    return Replayed(url, _since(start), answer.status, answer.headers, answer.body, note)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
