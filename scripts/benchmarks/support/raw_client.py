"""An HTTP client that takes little time itself: requests are bytes, and of an answer it reads the length."""

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

WITHOUT_BODY = ("204", "304")


class Exchange(NamedTuple):
    """The answers to some requests."""

    seconds: float
    times: list[float]  # ms, of each
    statuses: Counter[str]


def request(port: int, path: str, headers: Mapping[str, str], form: bytes = b"") -> bytes:
    """Return the bytes of a GET, or of a POST with a form."""
    about = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
    lines = [f"{'POST' if form else 'GET'} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in {**(about if form else {}), **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + form


def exchange(port: int, requests: Sequence[bytes], at_once: int) -> Exchange:
    """Send the requests on so many connections at once, each as soon as the last answer is there."""
    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        parts = [requests[first::at_once] for first in range(at_once)]
        answers = [one for part in threads.map(lambda part: _on_one(port, part), parts) for one in part]
    seconds = time.perf_counter() - start
    return Exchange(seconds, [took for took, _ in answers], Counter(status for _, status in answers))


def _on_one(port: int, requests: Sequence[bytes]) -> list[tuple[float, str]]:
    answers = []
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        connection.makefile("rb") as received,
    ):
        for sent in requests:
            start = time.perf_counter()
            connection.sendall(sent)
            status = _status(received)
            answers.append(((time.perf_counter() - start) * 1000, status))
    return answers


def _status(received: BinaryIO) -> str:
    """Read one answer to its end, and return its status."""
    status, length = received.readline()[9:12].decode(), 0
    while line := received.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and status not in WITHOUT_BODY:
            length = int(value)
    if not status or len(received.read(length)) < length:
        raise ConnectionError("the server closed the connection")
    return status
