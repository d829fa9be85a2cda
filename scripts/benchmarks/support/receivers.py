"""Receivers in a process of their own, so that the sender is measured and not they."""

import asyncio
import json
import math
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import click
from sqlalchemy import Engine, select

from guestbook.storage.models import DELIVERIES, Webhook

LENGTH = b"\r\ncontent-length: "
EVENT = b"\r\nwebhook-id: "
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a receiver answers."""

    name: str = "at once"
    delay: float = 0.0  # seconds; infinity is never
    fails_every: int = 0  # every so many requests; 0 is never
    remembers: bool = False  # the comments' ids, which takes time

    @property
    def is_healthy(self) -> bool:
        """Whether each webhook can be delivered in the end."""
        return self.delay < math.inf


@dataclass(slots=True)
class Memory:
    """All that one receiver has had."""

    arrivals: list[tuple[bytes, bytes]] = field(default_factory=list)  # path and event's id of each request
    accepted: dict[str, float] = field(default_factory=dict)  # time.perf_counter() by the comment's id


class Connection(asyncio.Protocol):
    """Answers each request of one connection."""

    def __init__(self, behaviour: Behaviour, memory: Memory, count: Any) -> None:
        self._behaviour, self._memory, self._count = behaviour, memory, count
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2].lower()
            length = end + 4 + int(_value(head, LENGTH) or 0)
            if len(self._buffer) < length:
                return
            body = self._buffer[end + 4 : length]
            self._buffer = self._buffer[length:]
            self._count.value += 1
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        behaviour = self._behaviour
        path = head[head.index(b" ") + 1 : head.index(b" http/")]
        self._memory.arrivals.append((path, _value(head, EVENT)))
        if not behaviour.is_healthy:
            return
        if behaviour.fails_every and len(self._memory.arrivals) % behaviour.fails_every == 0:
            self._transport.write(BAD)
        elif behaviour.delay:
            asyncio.get_running_loop().call_later(behaviour.delay, self._accept, body)
        else:
            self._accept(body)

    def _accept(self, body: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(GOOD)
        if self._behaviour.remembers:
            self._memory.accepted[json.loads(body)["data"]["comment"]["id"]] = time.perf_counter()


def _value(head: bytes, name: bytes) -> bytes:
    """Return the value of a header; a regular expression takes several times as long."""
    found = head.find(name)
    start = found + len(name)
    return head[start : head.index(b"\r", start)] if found >= 0 else b""


class Receivers:
    """The process of the receivers, as the bench sees it."""

    def __init__(self, pipe: Any, count: Any) -> None:
        self._pipe, self._count = pipe, count
        self.ports: list[int] = pipe.recv()

    @property
    def count(self) -> int:
        """Return how many requests all of them have had."""
        return int(self._count.value)

    def memories(self) -> list[Memory]:
        """Return the memory of each."""
        self._pipe.send(None)
        memories: list[Memory] = self._pipe.recv()
        return memories


@contextmanager
def running(*behaviours: Behaviour) -> Iterator[Receivers]:
    """Run a receiver for each behaviour until the block ends."""
    context = multiprocessing.get_context("spawn")
    count: Any = context.Value("q", 0, lock=False)
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, count, behaviours), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies at once is not waited for
    try:
        yield Receivers(ours, count)
    finally:
        process.terminate()
        process.join()


def _run(pipe: Any, count: Any, behaviours: Sequence[Behaviour]) -> None:
    with suppress(OSError, AttributeError):  # Receivers on other machines interrupt no sender.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        memories, ports = [Memory() for _ in behaviours], []
        for behaviour, memory in zip(behaviours, memories, strict=True):
            connection = partial(Connection, behaviour, memory, count)
            server = await loop.create_server(connection, "127.0.0.1", 0, backlog=1024)
            ports.append(server.sockets[0].getsockname()[1])
        loop.add_reader(pipe.fileno(), _answer_bench, pipe, memories)
        pipe.send(ports)
        await asyncio.Event().wait()

    asyncio.run(serve())


def _answer_bench(pipe: Any, memories: Sequence[Memory]) -> None:
    try:
        pipe.recv()
    except EOFError:
        raise SystemExit from None  # the bench was killed
    pipe.send(memories)


Arrival = tuple[str, str]  # path of the URL, webhook-id


def wanted_by(engine: Engine, port: int) -> list[Arrival]:
    """Return what a book's deliveries to the receiver at this port must send."""
    query = select(Webhook.url, DELIVERIES.c.event_id).where(DELIVERIES.c.webhook_id == Webhook.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [(urlsplit(url).path, event) for url, event in rows if urlsplit(url).port == port]


def check(memory: Memory, wanted: Iterable[Arrival]) -> None:
    """End the bench unless each of the wanted arrived once, and nothing else did."""
    found = Counter((path.decode(), event.decode()) for path, event in memory.arrivals)
    left = set(wanted)
    faults = {
        "never arrived": len(left - found.keys()),
        "arrived again": found.total() - len(found),
        "arrived that nobody sent": len(found.keys() - left),
    }
    if listed := ", ".join(f"{count:,} {what}" for what, count in faults.items() if count):
        raise click.ClickException(f"Of {len(left):,} deliveries, each must arrive once: {listed}.")
