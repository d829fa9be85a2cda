"""The receiver of the talk: an HTTP server that verifies what comes, keeps it, and fails as you wish."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from guestbook.lib import signatures, verification

HOST = "127.0.0.1"
LATE_SECONDS = 3.0  # longer than the passes wait for such an answer
HOLD_SECONDS = 15.0
LONGEST_BODY = 64 * 1024  # bytes
POLL = 0.05  # seconds until the server notices that it has to close
STATES = {
    "up": "The receiver is up. It answers 204 at once.",
    "down": "The receiver is down. Connections are refused.",
    "late": "The receiver answers late: after 3 seconds. A pass now waits for 2.",
    "gone": "The receiver answers 410 Gone: it wants nothing more.",
}


@dataclass
class ReceivedRequest:
    """A request as it came, what its signature proves, and how it was answered."""

    number: int
    headers: list[tuple[str, str]]
    body: bytes
    signed: bytes  # what the signature is about: id.timestamp.body
    computed: str
    arrived: str
    verdict: verification.Verdict
    is_repeat: bool
    answer: str = "not answered yet"

    @property
    def event_id(self) -> str:
        """Return the id, which is the same in all attempts."""
        return dict(self.headers).get("webhook-id", "")


class TalkReceiver:
    """A receiver with a port of its own. It is `up`, `down`, `late` or `gone`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.state = "up"
        self.secret = ""
        self.requests: list[ReceivedRequest] = []  # the oldest first
        self.now = now
        self._accepted: set[str] = set()  # ids
        self._keeping = threading.Lock()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._server: ThreadingHTTPServer | None = None
        self.url = f"http://{HOST}:{self._open(0)}/"

    @property
    def sentence(self) -> str:
        """Say what it does."""
        return STATES[self.state]

    def become(self, state: str) -> None:
        """Change the state. While it is down, connections to its port are refused."""
        if self._server and state == "down":
            self.close()
        elif not self._server and state != "down":
            self._open(int(self.url.rpartition(":")[2].strip("/")))
        self.state = state

    def close(self) -> None:
        """Close the port."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Give no answer meanwhile."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def answer(self, headers: list[tuple[str, str]], body: bytes) -> tuple[ReceivedRequest, int]:
        """Keep a request and wait as the state demands; return it with the status of the answer."""
        received = self._keep([(name.lower(), value) for name, value in headers], body)
        self._may_answer.wait(HOLD_SECONDS)
        if self.state == "late":
            threading.Event().wait(LATE_SECONDS)
        return received, 401 if not received.verdict.ok else 410 if self.state == "gone" else 204

    def _keep(self, headers: list[tuple[str, str]], body: bytes) -> ReceivedRequest:
        named = dict(headers)
        event_id, timestamp = named.get("webhook-id", ""), named.get("webhook-timestamp", "")
        verdict = verification.verify("standard", [self.secret], named, body, self.now())
        computed = ""
        if timestamp.isdecimal():
            computed = signatures.standard((signatures.key_of(self.secret),), event_id, int(timestamp), body)
        with self._keeping:
            received = ReceivedRequest(
                number=len(self.requests) + 1,
                headers=headers,
                body=body,
                signed=b".".join((event_id.encode(), timestamp.encode(), body)),
                computed=computed,
                arrived=named.get("webhook-signature", ""),
                verdict=verdict,
                is_repeat=verdict.ok and event_id in self._accepted,
            )
            self.requests.append(received)
            if verdict.ok and self.state != "gone":
                self._accepted.add(event_id)
        return received

    def _open(self, port: int) -> int:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Answer a request, unless nobody waits for the answer any more."""
                length = self.headers.get("Content-Length", "")
                size = min(int(length), LONGEST_BODY) if length.isdecimal() else 0
                received, status = receiver.answer(self.headers.items(), self.rfile.read(size))
                if _is_gone(self.connection):
                    received.answer = f"{status}, but nobody waited for it any more"
                    return
                with suppress(OSError):
                    self.send_response(status)
                    self.end_headers()
                received.answer = str(status)

            def log_message(self, *_: object) -> None:
                """Print nothing: the page shows the request."""

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(POLL,), name="receiver", daemon=True).start()
        return int(self._server.server_address[1])


def _is_gone(connection: socket.socket) -> bool:
    """Whether the sender has closed the connection, as it does when it is killed or has lost patience."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
