"""Receivers of different manners in a process of their own, which remember what came."""

import asyncio
import json
import math
import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
EVENT = re.compile(rb"webhook-id: (\w+)", re.IGNORECASE)
GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a receiver answers."""

    name: str
    delay: float = 0.0  # seconds; infinity is never
    fails_every: int = 0  # request; 0 is none

    @property
    def is_healthy(self) -> bool:
        """Whether each webhook can be delivered in the end."""
        return self.delay < math.inf


@dataclass(slots=True)
class Heard:
    """What one of them has had."""

    arrivals: Counter[str] = field(default_factory=Counter)  # requests by the event's id
    thanked: set[str] = field(default_factory=set)  # comments of which a request was answered with success


async def _hear(
    manner: Manner, heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the requests of one connection, one after the other, until it is closed."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            event = EVENT.search(head)
            heard.arrivals[event[1].decode() if event else ""] += 1
            if not manner.is_healthy:
                await reader.read()  # until the sender gives up
            elif manner.fails_every and heard.arrivals.total() % manner.fails_every == 0:
                writer.write(BAD)
            else:
                await asyncio.sleep(manner.delay)
                writer.write(GOOD)
                await writer.drain()
                heard.thanked.add(json.loads(body)["data"]["comment"]["id"])
    writer.close()


class Hearers:
    """The process as seen from ours."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self.ports: list[int] = pipe.recv()

    def heard(self) -> list[Heard]:
        """Return what they have had so far."""
        self._pipe.send("tell")
        told: list[Heard] = self._pipe.recv()
        return told


@contextmanager
def hearing(manners: Sequence[Manner]) -> Iterator[Hearers]:
    """Let one of each manner listen."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, manners), daemon=True)
    process.start()
    try:
        yield Hearers(ours)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Any, manners: Sequence[Manner]) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        all_heard, ports = [Heard() for _ in manners], []
        for manner, heard in zip(manners, all_heard, strict=True):
            server = await asyncio.start_server(partial(_hear, manner, heard), "127.0.0.1", 0, backlog=1024)
            ports.append(server.sockets[0].getsockname()[1])
        loop.add_reader(pipe.fileno(), lambda: pipe.recv() and pipe.send(all_heard))
        pipe.send(ports)
        await asyncio.Event().wait()

    asyncio.run(serve())
