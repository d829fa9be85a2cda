"""Receivers for `webhooks check`: a good one, and others that each have one fault.

with serving(Program()) as url:
    …
"""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from guestbook.lib import signatures
from guestbook.outbound.event_catalogue import EVENTS
from tests.support import sent_payloads

SECRET, KEY = signatures.new_secret(), signatures.new_key()
PUBLIC = signatures.public_bytes(signatures.seed_of(KEY))
TOLERANCE = 300  # seconds
SMALL_LIMIT = 10_000  # bytes


@contextmanager
def serving(program: "Program") -> Iterator[str]:
    """Serve a program on 127.0.0.1 and give its URL; what it still waits for ends with it."""

    class Hook(BaseHTTPRequestHandler):
        rbufsize = 1 << 17  # What has come is read at once.

        def do_POST(self) -> None:
            try:
                self.send_response(program.answer(self))
                self.end_headers()
            except OSError:
                if program.closing.is_set():
                    server.shutdown()
                    server.server_close()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        program.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class Program:
    """A good receiver. It keeps what it gets."""

    timeout = 15.0  # seconds, of the book

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.seen: set[str] = set()
        self.sequences: dict[str, int] = {}
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def answer(self, hook: BaseHTTPRequestHandler) -> int:
        """Read a request, and return the status of its answer."""
        headers = {name.lower(): value for name, value in hook.headers.items()}
        body = self.read(hook, int(headers["content-length"]))
        self.requests.append((headers, body))
        if not self.is_timely(time.time() - int(headers["webhook-timestamp"])):
            return 400
        if not self.is_genuine(headers, body):
            return 401
        return self.take(headers["webhook-id"], body)

    def read(self, hook: BaseHTTPRequestHandler, length: int) -> bytes:
        return hook.rfile.read(length)

    def is_timely(self, age: float) -> bool:
        return abs(age) <= TOLERANCE

    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        return self.wanted(headers, body) in headers.get("webhook-signature", "").split()

    def wanted(self, headers: dict[str, str], body: bytes) -> str:
        key = signatures.key_of(SECRET)
        return signatures.standard((key,), headers["webhook-id"], int(headers["webhook-timestamp"]), body)

    def take(self, event_id: str, body: bytes) -> int:  # noqa: ARG002  others use it
        self.seen.add(event_id)
        return 204


class RefusesAll(Program):
    def is_genuine(self, *_: object) -> bool:
        return False


class WorksFirst(Program):
    def take(self, event_id: str, body: bytes) -> int:
        if len(self.seen) == 1:
            self.closing.wait(5.1)
        return super().take(event_id, body)


class RefusesRepeats(Program):
    def take(self, event_id: str, body: bytes) -> int:
        return 409 if event_id in self.seen else super().take(event_id, body)


class WantsOrder(Program):
    def take(self, event_id: str, body: bytes) -> int:
        data = json.loads(body)["data"]
        newest_one = self.sequences.setdefault(data["comment"]["id"], data["sequence"])
        return 500 if data["sequence"] < newest_one else super().take(event_id, body)


class TakesOld(Program):
    def is_timely(self, age: float) -> bool:
        return age >= -TOLERANCE


class TakesFuture(Program):
    def is_timely(self, age: float) -> bool:
        return age <= TOLERANCE


class VerifiesNothing(Program):
    def is_genuine(self, *_: object) -> bool:
        return True


class TakesUnsigned(Program):
    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        return "webhook-signature" not in headers or super().is_genuine(headers, body)


class FailsOnForged(Program):
    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        if not super().is_genuine(headers, body):
            raise ConnectionAbortedError
        return True


class ReadsFirstSignature(Program):
    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        return self.wanted(headers, body) in headers.get("webhook-signature", "").split()[:1]


class KnowsOneVersion(Program):
    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        signed = headers.get("webhook-signature", "").split()
        return all(one.startswith("v1,") for one in signed) and super().is_genuine(headers, body)


class WantsKnownFields(Program):
    def take(self, event_id: str, body: bytes) -> int:
        found = json.loads(body)
        is_strange = found["type"] in EVENTS and sent_payloads.faults(body)
        return 400 if is_strange else super().take(event_id, body)


class WantsKnownEvents(Program):
    def take(self, event_id: str, body: bytes) -> int:
        return super().take(event_id, body) if json.loads(body)["type"] in EVENTS else 422


class WantsShortBodies(Program):
    def take(self, event_id: str, body: bytes) -> int:
        return 413 if len(body) > SMALL_LIMIT else super().take(event_id, body)


class ReadsAscii(Program):
    def take(self, event_id: str, body: bytes) -> int:
        return super().take(event_id, body) if body.isascii() else 500


class ReadsFirstPiece(Program):
    def read(self, hook: BaseHTTPRequestHandler, length: int) -> bytes:
        return hook.rfile.read1(length)  # type: ignore[attr-defined]  # a BufferedReader has it


class HangsAfterBrokenBody(Program):
    timeout = 6.0  # On a busy machine it must answer all others within that.

    def read(self, hook: BaseHTTPRequestHandler, length: int) -> bytes:
        with self.lock:
            body = super().read(hook, length)
            while len(body) < length and not self.closing.wait(0.05):
                pass
            return body


class SaysGone(Program):
    def answer(self, hook: BaseHTTPRequestHandler) -> int:
        status = super().answer(hook)
        return 410 if status == 400 else status


class Crashes(Program):
    def answer(self, hook: BaseHTTPRequestHandler) -> int:
        status = super().answer(hook)
        return 500 if status == 401 else status


class LimitsRequests(Program):
    def answer(self, hook: BaseHTTPRequestHandler) -> int:
        status = super().answer(hook)
        return 429 if len(self.requests) > 5 else status


class Redirects(Program):
    def answer(self, _: BaseHTTPRequestHandler) -> int:
        return 308


class Dies(Program):
    """It ends with the event that it does not know."""

    def take(self, event_id: str, body: bytes) -> int:
        if json.loads(body)["type"] not in EVENTS:
            self.closing.set()
            raise ConnectionAbortedError
        return super().take(event_id, body)


class VerifiesKey(Program):
    """A good receiver that has the public key alone."""

    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        content = signatures.signed_content(headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        signed = [one.partition(",") for one in headers.get("webhook-signature", "").split()]
        mine = [base64.b64decode(one) for version, _, one in signed if version == "v1a"]
        return any(signatures.verify_with_key(PUBLIC, content, one) for one in mine)


class VerifiesForGitHub(Program):
    """A good receiver that was written for GitHub."""

    def is_timely(self, _: float) -> bool:
        return True

    def is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        return headers.get("x-hub-signature-256") == signatures.hub(SECRET.encode(), body)


BAD: dict[type[Program], str] = {
    RefusesAll: "good",
    WorksFirst: "quick",
    RefusesRepeats: "repeat",
    WantsOrder: "sequence",
    TakesOld: "stale",
    TakesFuture: "future",
    VerifiesNothing: "forged",
    TakesUnsigned: "forged",
    FailsOnForged: "forged",
    ReadsFirstSignature: "rotated",
    KnowsOneVersion: "version",
    WantsKnownFields: "fields",
    WantsKnownEvents: "event",
    WantsShortBodies: "size",
    ReadsAscii: "unicode",
    ReadsFirstPiece: "slow",
    HangsAfterBrokenBody: "closed",
}
