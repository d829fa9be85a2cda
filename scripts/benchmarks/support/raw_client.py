"""An HTTP client that takes little time itself: requests are bytes, and of an answer it reads the length."""

import re
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
WITHOUT_BODY = ("204", "304")


class Exchange(NamedTuple):
    """The answers to some requests."""

    seconds: float
    times: list[float]  # ms, of each
    statuses: Counter[str]


def request(port: int, path: str, headers: Mapping[str, str], form: bytes = b"") -> bytes:
    """Return the bytes of a GET, or of a POST with a form."""
    if form:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(form)),
            **headers,
        }
    lines = [f"{'POST' if form else 'GET'} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
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
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for sent in requests:
            start = time.perf_counter()
            connection.sendall(sent)
            status = _status(connection)
            answers.append(((time.perf_counter() - start) * 1000, status))
    return answers


def _status(connection: socket.socket) -> str:
    """Read one answer to its end, and return its status."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status, length = head[9:12].decode(), LENGTH.search(head)
    missing = int(length[1]) - len(body) if length and status not in WITHOUT_BODY else 0
    while missing > 0:
        missing -= len(_more(connection))
    return status


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise ConnectionError("the server closed the connection")
    return part
