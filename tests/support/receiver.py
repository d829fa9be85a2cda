"""A real HTTP receiver on 127.0.0.1 for tests: it keeps connections alive, does as it is told, remembers all.

with Receiver() as receiver:
    receiver.answer("/slow", Answer(delay=0.05))  # each request
    receiver.answer("/flaky", Answer(500), Answer(500), Answer(200))  # in turn; the last stays
    receiver.answer("/never", HANG)
    … receiver.url("/slow") …
    receiver.wait_for(3)
    receiver.requests, receiver.at("/slow"), receiver.most_at_once("/slow")
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.client import responses
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from tests.support import sent_payloads

HEAD_LIMIT = 65536  # bytes
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float  # on the monotonic clock, when it was complete
    method: str = "POST"
    status: int = 0  # of the answer that it is going to get

    @property
    def event_id(self) -> str:
        """Return the `webhook-id` header."""
        return self.headers.get("webhook-id", "")

    @property
    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with a request."""

    status: int = 200
    delay: float = 0.0  # seconds before the answer
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hang: bool = False  # say nothing until `release`, or until the sender goes away
    drop: bool = False  # close the connection without a word


OK = Answer()
HANG = Answer(hang=True)
Program = Callable[[Request], Answer]


class Receiver:
    """Listens from `with` on, or between `start` and `close`; one thread, any number of connections."""

    def __init__(self, port: int = 0, program: Program | None = None, *, address: str = "127.0.0.1") -> None:
        self.port = port
        self._address = address
        self.requests: list[Request] = []
        self._program = program
        self._answers: dict[str, list[Answer]] = {}
        self._in_flight: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._hanging: list[_Connection] = []
        self._released: Iterator[Answer] = iter(())  # what requests get that would hang
        self._connections: set[_Connection] = set()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="receiver", daemon=True)

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> "Receiver":
        """Listen, and return the receiver itself."""
        serving = self._loop.create_server(lambda: _Connection(self), self._address, self.port, backlog=1024)
        self._server = self._loop.run_until_complete(serving)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread.start()
        return self

    def close(self) -> None:
        """Close the port and all connections: whoever connects from now on is refused."""
        ours = [request for request in self.requests if "x-guestbook-event" in request.headers]
        sent_payloads.note(request.body for request in ours)
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def url(self, path: str = "/") -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, path: str, *answers: Answer) -> None:
        """Give these answers at that path, one after the other; the last one stays."""
        self._answers[path] = list(answers)

    def release(self, answer: Answer = OK, most: int | None = None) -> None:
        """Answer all requests that hang, or so many of them, the oldest first.

        Those that are still on their way are answered when they come: else they would hang until the time-out
        of the program, which no test can see coming.
        """

        def reply() -> None:
            hanging = self._hanging[:most]
            del self._hanging[: len(hanging)]
            for connection in hanging:
                connection.reply(answer)
            rest = repeat(answer) if most is None else repeat(answer, most - len(hanging))
            self._released = chain(self._released, rest)

        self._loop.call_soon_threadsafe(reply)

    def at(self, path: str) -> list[Request]:
        """Return the requests to a path."""
        return [request for request in list(self.requests) if request.path == path]

    def in_flight(self, path: str) -> int:
        """Return how many requests to a path are unanswered now."""
        return self._in_flight[path]

    def most_at_once(self, path: str) -> int:
        """Return how many requests to a path were unanswered at the same time, at the most."""
        return self._most[path]

    def connections(self) -> int:
        """Return how many connections are open now."""
        return len(self._connections)

    def event_ids(self, path: str) -> Counter[str]:
        """Return how often each event arrived at a path."""
        return Counter(request.event_id for request in self.at(path))

    def rates(self, since: float, seconds: float) -> list[float]:
        """Return the requests a second in each window of so many, from that moment on the monotonic clock."""
        counts: Counter[int] = Counter()
        for request in reversed(self.requests):
            if request.at < since:
                break
            counts[int((request.at - since) / seconds)] += 1
        return [counts[number] / seconds for number in range(int((time.monotonic() - since) / seconds))]

    def wait_for(self, count: int, path: str | None = None, seconds: float = 20.0) -> list[Request]:
        """Wait until so many requests have arrived, and return them; AssertionError when time is up."""
        found: list[Request] = []

        def arrived() -> bool:
            found[:] = list(self.requests) if path is None else self.at(path)
            return len(found) >= count

        with self._changed:
            if not self._changed.wait_for(arrived, seconds):
                raise AssertionError(f"{len(found)} of {count} requests to {path} in {seconds} s")
        return found

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _end(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next round
        while self._connections:
            await asyncio.sleep(0.001)

    def _note(self, request: Request) -> Answer:
        """Record a request and say what to do with it."""
        self._in_flight[request.path] += 1
        self._most[request.path] = max(self._most[request.path], self._in_flight[request.path])
        answers = self._answers.get(request.path, [OK])
        if self._program:
            answer = self._program(request)
        else:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        with self._changed:
            self.requests.append(replace(request, status=answer.status))
            self._changed.notify_all()
        return answer


class _Connection(asyncio.Protocol):
    """One connection: requests one after the other, as HTTP/1.1 has it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._read = b""
        self._current: str | None = None  # the path of the request that is not answered yet
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._receiver._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._receiver._connections.discard(self)
        if self in self._receiver._hanging:
            self._receiver._hanging.remove(self)
        self._done()

    def data_received(self, data: bytes) -> None:
        self._read += data
        if self._current is None:
            self._take()

    def _take(self) -> None:
        """Take one request out of what has been read, if it is complete."""
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            if len(head) > HEAD_LIMIT:
                self.transport.abort()
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        method, path, _ = first.split(" ", 2)
        self._read, self._current = rest[length:], path
        request = Request(path, headers, rest[:length], time.monotonic(), method)
        answer = self._receiver._note(request)
        if answer.hang:
            answer = next(self._receiver._released, answer)
        if answer.hang:
            self._receiver._hanging.append(self)
        elif answer.delay:
            asyncio.get_running_loop().call_later(answer.delay, self.reply, answer)
        else:
            self.reply(answer)

    def reply(self, answer: Answer) -> None:
        if self._current is None or self.transport.is_closing():
            return
        self._done()
        if answer.drop:
            self.transport.abort()
            return
        phrase = responses.get(answer.status, "Unknown")
        lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
        if self._read:
            self._take()

    def _done(self) -> None:
        if self._current is not None:
            self._receiver._in_flight[self._current] -= 1
            self._current = None


def at_random(seed: int, latency: tuple[float, float], failing: float) -> Program:
    """Return a program whose answers come after a random latency and are 500 with that probability."""
    luck = random.Random(seed)

    def answer(_: Request) -> Answer:
        return Answer(500 if luck.random() < failing else 200, delay=luck.uniform(*latency))

    return answer
