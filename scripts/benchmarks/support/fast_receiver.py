"""A receiver that does next to nothing, in a process of its own: what is measured is the sender."""

import asyncio
import math
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from typing import Any

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sink(asyncio.Protocol):
    """Answers each request with 200, at once, after a delay in seconds, or never if that is infinite."""

    def __init__(self, count: Any, delay: float, on_request: Any = None) -> None:
        self._count = count
        self._delay = delay
        self._on_request = on_request
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            match = LENGTH.search(self._buffer, 0, end)
            length = end + 4 + (int(match[1]) if match else 0)
            if len(self._buffer) < length:
                return
            if self._on_request:
                self._on_request(self._buffer[end + 4 : length])
            self._buffer = self._buffer[length:]
            self._count.value += 1
            if self._delay == math.inf:
                continue
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)


@contextmanager
def running(delay: float = 0.0) -> Iterator[tuple[int, "Synchronized[int]"]]:
    """Give the port of a sink and the number of requests it has had; it ends with the block."""
    context = multiprocessing.get_context("spawn")
    count: Any = context.Value("q", 0, lock=False)
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, count, delay), daemon=True)
    process.start()
    theirs.close()  # so that a sink that dies at once is not waited for
    try:
        yield ours.recv(), count
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Any, count: Any, delay: float) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Sink(count, delay), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
