"""The answer to a request, read strictly and within the attempt's budget: its head, then as much of its body.

http.client takes 103 for a final status, has no limit of time or size in 1xx answers, and sends every header
through the e-mail parser, which is a third of its time.
"""

import re
from collections.abc import Iterator
from typing import Any

from urllib3 import HTTPHeaderDict

from guestbook.transport import budget
from guestbook.transport.failure import TransportError

HEAD_LIMIT = 16 * 1024  # bytes of a status line and its headers, as in Node.js
READ_SIZE = 16 * 1024  # bytes; most answers come whole in one read

STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
SWITCHING_PROTOCOLS = 101
# Why a body ends early, by the reason word of the error. All other errors are about time.
NOTES = {"response_too_large": "body_cut", "connection_lost": "body_broken"}


class Answer:
    """The final answer to a request; `read_body` reads its body."""

    def __init__(self, sock: Any, method: str) -> None:
        """Read the head; raises TransportError and OSError."""
        self._sock = sock
        self._buffer = b""  # what was received last
        self._at = 0  # how much of it was read
        self.is_reusable = False  # whether the connection can carry another request, after `read_body`
        self._read_head()
        while self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            self._read_head()
        self._frame(method)

    def read_body(self) -> tuple[bytes, str | None]:
        """Return the body up to its limit, not decompressed, and the note: a reason word or None."""
        body, limit, note = bytearray(), budget.current.get().body_limit, None
        try:
            for part in self._body_parts():
                body += part
                if len(body) > limit:
                    return bytes(body[:limit]), "body_cut"
        except TransportError as error:
            note = NOTES.get(error.reason, "body_timeout")
        except (OSError, ValueError):
            note = "body_broken"
        self.is_reusable = note is None and not self._will_close and self._at == len(self._buffer)
        return bytes(body), note

    def _read_head(self) -> None:
        line = self._line()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise budget.current.get().error("bad_response", "no HTTP/1 status line")
        self._is_1_0, self.status = match[1] == b"0", int(match[2])
        # Names are as received, and are looked up in any case. Repeated ones are joined.
        self.fields, name, value = HTTPHeaderDict(), "", ""
        room = HEAD_LIMIT - len(line)
        while (line := self._line()) not in (b"\r\n", b"\n"):
            room -= len(line)
            if room < 0:
                raise budget.current.get().error("response_too_large")
            text = line.decode("iso-8859-1")
            if text[0] in " \t":  # a folded line, RFC 9112 section 5.2
                value = f"{value} {text.strip()}"
                continue
            if name:
                self.fields.add(name, value, combine=True)
            # A line without a colon is no header. The status counts all the same: a retry changes nothing.
            name, colon, value = text.partition(":")
            name, value = name.strip() if colon else "", value.strip()
        if name:
            self.fields.add(name, value, combine=True)

    def _frame(self, method: str) -> None:
        """Find out where the body ends, RFC 9112 section 6.3; an unclear one ends with the connection."""
        coding = self._field("transfer-encoding")
        self._is_chunked = coding.rpartition(",")[2].strip() == "chunked"
        self._length = None if coding else _length(self._field("content-length"))
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
            while self._fill() and self._line().strip():  # trailers; some servers leave out the blank line
                pass
        elif self._length is None:
            while part := self._part():
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

    def _part(self, most: int = READ_SIZE) -> bytes:
        """Return the next bytes, none at the end."""
        self._fill()
        part = self._buffer[self._at : self._at + most]
        self._at += len(part)
        return part

    def _line(self) -> bytes:
        """Return the next line with its end; raises TransportError where the other side closes before it."""
        begun = b""
        while not (end := self._buffer.find(b"\n", self._at) + 1):
            begun += self._buffer[self._at :]
            self._at = len(self._buffer)
            if not self._fill():
                raise budget.current.get().error("connection_lost")
        line = begun + self._buffer[self._at : end]
        self._at = end
        return line

    def _fill(self) -> bool:
        """Receive more where all was read; return whether there is something to read."""
        if self._at == len(self._buffer):
            # Inside TLS to the proxy, urllib3 returns 0 where the other side hangs up.
            self._buffer, self._at = self._sock.recv(READ_SIZE) or b"", 0
        return self._at < len(self._buffer)


def _length(text: str) -> int | None:
    """Return the Content-Length, None when it is missing, garbled or contradicts itself."""
    values = {value.strip() for value in text.split(",")} if "," in text else {text}
    value = values.pop()
    return int(value) if not values and value.isascii() and value.isdigit() and len(value) < 19 else None
