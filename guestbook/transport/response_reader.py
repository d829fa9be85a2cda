"""Reading an answer: a strict parser with a limit for the head, and the beginning of the body."""

import http.client
import re
from typing import Any

from urllib3 import HTTPHeaderDict

from guestbook.transport import socket_budget
from guestbook.transport.failure import TransportError

HEAD_LIMIT = 16 * 1024  # bytes of a status line and its headers, as in Node.js

STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
SWITCHING_PROTOCOLS = 101


class Response(http.client.HTTPResponse):
    """http.client's answer with our own parser of the head; `read_body` reads the body.

    http.client takes 103 for a final status, has no limit of time or size in 1xx answers, and sends
    every header through the e-mail parser, which is a third of its time.
    """

    fields: HTTPHeaderDict  # as received; a name is looked up in any case, repeated ones are joined
    pool: Any = None
    connection: Any = None
    _method: str | None  # http.client's name
    whole = False  # the body was read to its end

    def begin(self) -> None:
        """Read status lines and headers up to the final answer; raises TransportError."""
        self._read_head()
        while self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            self._read_head()
        self._frame()

    def read_body(self) -> tuple[bytes, str | None]:
        """Return the body up to its limit, not decompressed, and the note: a reason word or None."""
        parts: list[bytes] = []
        limit = socket_budget.current.get().body_limit
        try:
            note = self._read_parts(parts, limit + 1)
        except TransportError as error:
            note = "body_cut" if error.reason == "response_too_large" else "body_timeout"
        except (http.client.HTTPException, OSError, ValueError):
            note = "body_broken"
        self.whole = note is None
        return b"".join(parts)[:limit], note

    def release(self) -> None:
        """Give the connection back when it can carry another request, else close it."""
        self.close()
        if self.whole and not self.will_close:
            self.pool.keep(self.connection)
        else:
            self.connection.close()

    def _read_head(self) -> None:
        line = self._read_line()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise socket_budget.current.get().error("bad_response", "no HTTP/1 status line")
        self.version = 10 if match[1] == b"0" else 11
        self.code = self.status = int(match[2])
        self.fields = self._read_headers(HEAD_LIMIT - len(line))

    def _read_headers(self, room: int) -> HTTPHeaderDict:
        headers, name, value = HTTPHeaderDict(), "", ""
        while (line := self._read_line()) not in (b"\r\n", b"\n"):
            room -= len(line)
            if room < 0:
                raise socket_budget.current.get().error("response_too_large")
            text = line.decode("iso-8859-1")
            if text[0] in " \t":  # a folded line, RFC 9112 section 5.2
                value = f"{value} {text.strip()}"
                continue
            headers.add(name, value, combine=True)
            # A line without a colon is no header. The status counts all the same: a retry changes nothing.
            name, colon, value = text.partition(":")
            name, value = name.strip() if colon else "", value.strip()
        headers.add(name, value, combine=True)
        headers.discard("")  # lines without a name
        return headers

    def _read_line(self) -> bytes:
        line = self.fp.readline()  # the budget bounds it
        if not line.endswith(b"\n"):
            raise socket_budget.current.get().error("connection_lost")
        return line

    def _frame(self) -> None:
        """Find out where the body ends, RFC 9112 section 6.3; an unclear one ends with the connection."""
        get = self.fields.get
        coding = get("transfer-encoding", "").lower()
        self.chunked = coding.rpartition(",")[2].strip() == "chunked"
        self.chunk_left = None
        self.length = None if coding else _length(get("content-length", ""))
        if self.status in (SWITCHING_PROTOCOLS, 204, 304) or self._method == "HEAD":
            self.chunked, self.length = False, 0
        tokens = get("connection", "").lower()
        self.will_close = (
            "close" in tokens
            or (self.version == 10 and "keep-alive" not in tokens)
            or (self.length is None and not self.chunked)
            or self.status == SWITCHING_PROTOCOLS
        )

    def _read_parts(self, parts: list[bytes], room: int) -> str | None:
        while room > 0 and self.length != 0:
            part = self.read1(room)
            if not part:
                break
            parts.append(part)
            room -= len(part)
        if room <= 0:
            return "body_cut"
        return "body_broken" if self.length else None


def _length(text: str) -> int | None:
    """Return the Content-Length, None when it is missing, garbled or contradicts itself."""
    values = {value.strip() for value in text.split(",")} if "," in text else {text}
    value = values.pop()
    return int(value) if not values and value.isascii() and value.isdigit() and len(value) < 19 else None
