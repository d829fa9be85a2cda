"""Send a bin's request to another URL, with the transport and the limits of webhooks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.outbound import sender, webhook_urls
from guestbook.settings import Settings
from guestbook.storage import audit_log
from guestbook.storage.database import db, writing
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


def replay(row: BinRequest, typed_url: str, settings: Settings) -> Replayed:
    """Send it with its method, headers and body to that URL, and note that; raises Refused.

    It takes the row out of the session, for no transaction may be open while another server answers.
    """
    url = _checked(row, typed_url, settings)
    db.session.expunge(row)
    with writing() as session:
        audit_log.record(session, "replayed", "bin_request", row.id, detail=f"to {urlsplit(url).hostname}")
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


def _checked(row: BinRequest, url: str, settings: Settings) -> str:
    if len(row.kept) < row.size:
        raise Refused("Only the first 256 kB of the body were kept, so it cannot be sent again.", field="url")
    return webhook_urls.web_destination(clean_line(url), settings)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
