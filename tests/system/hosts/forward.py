"""Carry TCP connections from one network into another, as a port of a router does."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

CHUNK = 256 * 1024  # bytes


class Forward:
    """Takes the connections of a listener and makes one more for each. Use it as a context manager."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], socket.socket],
        to: tuple[str, int],
        lost_after: int | None = None,
    ) -> None:
        self._listener = listener
        self._lost_after = lost_after  # seconds of silence, as the server at the far end would do it
        self._make = make
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="forward", daemon=True)
        self._ends: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> "Forward":
        serving = asyncio.start_server(self._carry, sock=self._listener, limit=CHUNK)
        self._server = self._loop.run_until_complete(serving)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._lost_after:
            _listen_for_life(writer.get_extra_info("socket"), self._lost_after)
        with self._make() as far:
            far.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(far, self._to)
            except OSError:
                writer.transport.abort()
                return
            far_reader, far_writer = await asyncio.open_connection(sock=far, limit=CHUNK)
            ends = {writer, far_writer}
            self._ends |= ends
            try:
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            finally:
                self._ends -= ends

    async def _end(self) -> None:
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()
        while self._ends:
            await asyncio.sleep(0.001)


def _listen_for_life(near: Any, seconds: int) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        near.setsockopt(socket.IPPROTO_TCP, option, 1)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(CHUNK):
            writer.write(part)
            await writer.drain()
    writer.close()
