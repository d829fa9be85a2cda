"""The receiver of the talk: it verifies what comes, keeps it, and fails as you wish."""

import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import MSG_PEEK

from guestbook.lib import signatures, verification

HOST = "127.0.0.1"
LATE_SECONDS, HOLD_SECONDS = 3.0, 15.0
LONGEST_BODY = 64 * 1024  # bytes
STATES = {
    "up": "The receiver is up. It answers 204 at once.",
    "down": "The receiver is down. Connections are refused.",
    "late": "The receiver answers late: after 3 seconds. A pass waits for 2.",
    "gone": "The receiver answers 410 Gone: it wants nothing more.",
}


@dataclass
class ReceivedRequest:
    """A request as it came, with the names of headers in lower case, and what the receiver made of it."""

    headers: Mapping[str, str]
    body: bytes
    signed: bytes  # `id.timestamp.body`
    computed: str  # the signature of these bytes
    verdict: verification.Verdict
    is_repeat: bool
    answer: str = "not answered yet"


class TalkReceiver:
    """A receiver with its own port, in one of STATES. While `may_answer` is clear it holds all answers."""

    def __init__(self) -> None:
        self.state, self.secret, self.may_answer = "up", "", threading.Event()
        self.may_answer.set()
        self.now: Callable[[], datetime]
        self.requests: list[ReceivedRequest] = []  # the oldest first
        self._server = self._opened(0)
        self._port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self._port}/"

    def become(self, state: str) -> None:
        """Change the state. The port is closed while the receiver is down."""
        if state == "down" != self.state:
            self._server.shutdown()
            self._server.server_close()
        elif self.state == "down" != state:
            self._server = self._opened(self._port)
        self.state = state

    def keep(self, headers: Mapping[str, str], body: bytes) -> tuple[ReceivedRequest, int]:
        """Verify a request and keep it; when it is time to answer, return it with the answer's status."""
        event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        content = event_id, int(stamp) if stamp.isdecimal() else 0, body
        computed = signatures.standard((signatures.key_of(self.secret),), *content)
        verdict = verification.verify("standard", [self.secret], headers, body, self.now())
        same = (one for one in self.requests if one.verdict.ok and one.headers["webhook-id"] == event_id)
        signed, is_repeat = signatures.signed_content(*content), verdict.ok and any(same)
        received = ReceivedRequest(headers, body, signed, computed, verdict, is_repeat)
        self.requests.append(received)
        status = 401 if not verdict.ok else 410 if self.state == "gone" else 204
        self.may_answer.wait(HOLD_SECONDS)
        time.sleep(LATE_SECONDS if self.state == "late" else 0)
        return received, status

    def _opened(self, port: int) -> ThreadingHTTPServer:
        keep = self.keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Answer a request, unless nobody waits for the answer any more."""
                headers = {name.lower(): value for name, value in self.headers.items()}
                length = headers.get("content-length", "")
                size = min(int(length), LONGEST_BODY) if length.isdecimal() else 0
                received, status = keep(headers, self.rfile.read(size))
                received.answer = f"{status}, but nobody waited for it any more"
                with suppress(OSError):
                    # A sender that was killed, or has lost patience, has closed the connection.
                    readable = select.select([self.connection], [], [], 0)[0]
                    if not readable or self.connection.recv(1, MSG_PEEK):
                        self.send_response(status)
                        self.end_headers()
                        received.answer = str(status)

            def log_message(self, *_: object) -> None:
                """Print nothing: the page shows the request."""

        server = ThreadingHTTPServer((HOST, port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), name="receiver", daemon=True).start()
        return server
