"""The task of every peer: sign a delivery, send it, have it recorded; as a pass of ours does.

It imports nothing of the guestbook, so that a peer's process is as small as it would be alone, and the task
brings URL and body with it, so that nothing need be read for it.
"""

import base64
import hmac
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import requests

from scripts.benchmarks.support import start_line

SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode(SECRET[6:])
BODY = '{"type":"comment.created","data":"' + "x" * 560 + '"}'
TIMEOUT = 15  # seconds
THREADS = 8  # of a worker: the best number for each peer here

Row = tuple[tuple[Any, ...], tuple[Any, ...]]  # the values for the delivery and for its attempt
_mine = threading.local()
_begun = False


def setting(name: str) -> str:
    """Return a setting of the bench for the processes that it starts; it is empty in the bench itself."""
    return os.environ.get(f"BENCH_{name}", "")


def deliveries() -> Iterator[tuple[str, str, str]]:
    """Give id, URL and body of each delivery."""
    for line in (start_line.folder() / "deliveries").read_text().splitlines():
        delivery_id, url = line.split()
        yield delivery_id, url, BODY


def task(record: Callable[[Row], None]) -> Callable[[str, str, str], None]:
    """Return the task, for a peer to register."""

    def work(delivery_id: str, url: str, body: str) -> None:
        record(_send(delivery_id, url, body))

    return work


def _send(delivery_id: str, url: str, body: str) -> Row:
    """Send one, once the bench lets this process begin; return the rows to record."""
    global _begun
    if not _begun:
        start_line.wait()
        _begun = True
    data = body.encode()
    headers = _headers(delivery_id)
    signed = {**headers, **_signatures(delivery_id, headers["webhook-timestamp"], data)}
    began, start = _now(), time.monotonic()
    answer = _session().post(url, data=data, headers=signed, timeout=TIMEOUT, allow_redirects=False)
    took = round((time.monotonic() - start) * 1000)
    status = "processed" if answer.ok else "failed"
    sent, got = json.dumps(headers), json.dumps(dict(answer.headers))
    attempt = (delivery_id, began, took, answer.status_code, sent, got, answer.text)
    return (status, _now(), answer.status_code, delivery_id), attempt


def _session() -> requests.Session:
    """Return this thread's session, which keeps its connections."""
    if not hasattr(_mine, "session"):
        _mine.session = requests.Session()
        _mine.session.trust_env = False  # or each request would look for proxies and .netrc
    session: requests.Session = _mine.session
    return session


def _headers(event_id: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "bench",
        "X-Guestbook-Event": "comment.created",
        "X-Guestbook-Attempt": "1",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(time.time())),
    }


def _signatures(event_id: str, timestamp: str, body: bytes) -> dict[str, str]:
    digest = hmac.digest(KEY, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "X-Hub-Signature-256": "sha256=" + hmac.digest(SECRET, body, "sha256").hex(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
