"""The answer to a request, read strictly and within the attempt's budget: its head, then as much of its body.

http.client takes 103 for a final status, has no limit of time or size in 1xx answers, and sends every header
through the e-mail parser, which is a third of its time.
"""

import re
from collections.abc import Iterator
from typing import Any

from urllib3 import HTTPHeaderDict

from guestbook.transport import attempt_budget
from guestbook.transport.failure import TransportError

HEAD_LIMIT = 16 * 1024  # bytes of a status line and its headers, as in Node.js
READ_SIZE = 16 * 1024  # bytes; most answers come whole in one read

STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?(?=\n)")
HEAD_END = re.compile(rb"\n\r?\n")
FOLD = re.compile(r"\r?\n[ \t]+")  # RFC 9112 section 5.2
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?", re.DOTALL)
LENGTH = re.compile(r"([0-9]{1,18})(?:\s*,\s*\1)*")  # perhaps repeated, but without a contradiction
SWITCHING_PROTOCOLS = 101


class Answer:
    """The final answer to a request; `read_body` reads its body."""

    def __init__(self, sock: Any, method: str) -> None:
        """Read the head; raises TransportError and OSError."""
        self._sock = sock
        self._buffer = b""  # what was received and not read
        self.is_reusable = False  # whether the connection can carry another request, after `read_body`
        self._read_head()
        while self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            self._read_head()
        self._frame(method)

    def read_body(self) -> tuple[bytes, str | None]:
        """Return the body up to its limit, not decompressed, and the note: a reason word or None."""
        body, limit, note = bytearray(), attempt_budget.current.get().body_limit, None
        try:
            for part in self._body_parts():
                body += part
                if len(body) > limit:
                    return bytes(body[:limit]), "body_cut"
        except TransportError as error:
            note = "body_cut" if error.reason == "response_too_large" else "body_timeout"
        except (OSError, ValueError):
            note = "body_broken"
        self.is_reusable = note is None and not self._will_close and not self._buffer
        return bytes(body), note

    def _read_head(self) -> None:
        while not (end := HEAD_END.search(self._buffer)):
            self._check_status_line()
            if len(self._buffer) > HEAD_LIMIT:
                break
            if not self._receive():
                raise attempt_budget.current.get().error("connection_lost")
        status = self._check_status_line()
        if not status or not end or end.end() > HEAD_LIMIT:
            raise attempt_budget.current.get().error("response_too_large")
        self._is_1_0, self.status = status[1] == b"0", int(status[2])
        text = self._buffer[: end.start()].decode("iso-8859-1")
        if "\n " in text or "\n\t" in text:
            text = FOLD.sub(" ", text)
        self._buffer = self._buffer[end.end() :]
        self.fields = HTTPHeaderDict()  # Names are as received, and are looked up in any case.
        for line in text.split("\n")[1:]:
            # A line without a colon is no header. The status counts all the same: a retry changes nothing.
            name, colon, value = line.partition(":")
            if colon and (name := name.strip()):
                self.fields.add(name, value.strip(), combine=True)

    def _check_status_line(self) -> re.Match[bytes] | None:
        """Return the status line, None while it is not complete; raises TransportError for another line."""
        status = STATUS_LINE.match(self._buffer)
        if not status and b"\n" in self._buffer:
            raise attempt_budget.current.get().error("bad_response", "no HTTP/1 status line")
        return status

    def _frame(self, method: str) -> None:
        """Find out where the body ends, RFC 9112 section 6.3; an unclear one ends with the connection."""
        coding = self._field("transfer-encoding")
        self._is_chunked = coding.rpartition(",")[2].strip() == "chunked"
        length = None if coding else LENGTH.fullmatch(self._field("content-length"))
        self._length = int(length[1]) if length else None
        if self.status in (SWITCHING_PROTOCOLS, 204, 304) or method == "HEAD":
            self._is_chunked, self._length = False, 0
        tokens = self._field("connection")
        self._will_close = (
            "close" in tokens
            or (self._is_1_0 and "keep-alive" not in tokens)
            or (self._length is None and not self._is_chunked)
            or self.status == SWITCHING_PROTOCOLS
        )

    def _field(self, name: str) -> str:
        """Return a header in small letters. `get` takes several times as long where there is none."""
        return str(self.fields[name]).lower() if name in self.fields else ""

    def _body_parts(self) -> Iterator[bytes]:
        """Give the body in parts; raises TransportError, OSError, and ValueError where it is broken."""
        if self._is_chunked:
            while size := self._chunk_size():
                yield from self._exactly(size)
                if self._line().strip():
                    raise ValueError("a chunk is longer than its size")
            # Trailers; some servers leave out the blank line.
            while (self._buffer or self._receive()) and self._line().strip():
                pass
        elif self._length is None:
            while part := self._part(READ_SIZE):
                yield part
        else:
            yield from self._exactly(self._length)

    def _chunk_size(self) -> int:
        match = CHUNK_SIZE.fullmatch(self._line())
        if not match:
            raise ValueError("the size of a chunk is missing")
        return int(match[1], 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            part = self._part(size)
            if not part:
                raise ValueError("the body ends early")
            size -= len(part)
            yield part

    def _part(self, most: int) -> bytes:
        """Return the next bytes, none at the end."""
        if not self._buffer:
            self._receive()
        part, self._buffer = self._buffer[:most], self._buffer[most:]
        return part

    def _line(self) -> bytes:
        """Return the next line without its LF; raises ValueError where the other side closes before it."""
        while b"\n" not in self._buffer:
            if not self._receive():
                raise ValueError("a line ends early")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _receive(self) -> bool:
        """Receive more; return whether there was something. urllib3 returns 0 where TLS to the proxy ends."""
        received: bytes = self._sock.recv(READ_SIZE) or b""
        self._buffer += received
        return received != b""
