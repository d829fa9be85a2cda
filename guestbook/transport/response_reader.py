"""Reading an answer: a strict parser with a limit for the head, and the beginning of the body."""

import http.client
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from guestbook.transport import socket_budget
from guestbook.transport.failure import TransportError


class HeaderFields(Mapping[str, str]):
    """Headers as received. A name is looked up in any case; repeated ones are joined."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[str, tuple[str, str]] = {}  # the name as received and the value, by the small name

    def add(self, name: str, value: str) -> None:
        """Add a line."""
        key = name.lower()
        first = self._fields.get(key)
        self._fields[key] = (first[0], f"{first[1]}, {value}") if first else (name, value)

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def get(self, name: str, default: Any = None) -> Any:  # faster than the Mapping's
        """Return a value, or the default where it is missing."""
        found = self._fields.get(name.lower())
        return found[1] if found else default

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)


HEAD_LIMIT = 16 * 1024  # bytes of a status line and its headers, as in Node.js

FIRST_READ = 16 * 1024  # bytes; most answers come whole in one read

# The head of an answer that needs no careful reader: no 1xx, no folded line, no line without a colon.
PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-9][0-9]{2})(?: [^\r\n]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r\n)*)\r\n"
)
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
SWITCHING_PROTOCOLS = 101


class Response(http.client.HTTPResponse):
    """http.client's answer with our own parser of the head; `read_body` reads the body.

    http.client takes 103 for a final status, has no limit of time or size in 1xx answers, and sends
    every header through the e-mail parser, which is a third of its time.
    """

    fields: HeaderFields
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

    def _read_headers(self, room: int) -> HeaderFields:
        headers, name, value = HeaderFields(), "", ""
        while (line := self._read_line()) not in (b"\r\n", b"\n"):
            room -= len(line)
            if room < 0:
                raise socket_budget.current.get().error("response_too_large")
            text = line.decode("iso-8859-1")
            if text[0] in " \t":  # a folded line, RFC 9112 section 5.2
                value = f"{value} {text.strip()}"
                continue
            if name:
                headers.add(name, value)
            # A line without a colon is no header. The status counts all the same: a retry changes nothing.
            name, colon, value = text.partition(":")
            name, value = name.strip() if colon else "", value.strip()
        if name:
            headers.add(name, value)
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


class BegunRead(io.RawIOBase):
    """A socket from which the first bytes have been read already, as http.client reads it."""

    def __init__(self, first: bytes, sock: Any) -> None:
        self._first = first
        self._is_first = True
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give the first bytes first; none mean that the other side has closed."""
        if not self._is_first:
            return int(self._sock.recv_into(buffer))
        count = min(len(self._first), len(buffer))
        buffer[:count], self._first = self._first[:count], self._first[count:]
        self._is_first = bool(self._first)
        return count


class ShortAnswer:
    """A final answer in HTTP/1.1 whose head came in one read, and whose body has a known, small size."""

    __slots__ = ("_body", "_length", "_sock", "connection", "fields", "pool", "status")

    pool: Any
    connection: Any

    def __init__(self, status: int, fields: HeaderFields, length: int, body: bytes, sock: Any) -> None:
        self.status = status
        self.fields = fields
        self._length = length
        self._body = body
        self._sock = sock

    def read_body(self) -> tuple[bytes, str | None]:
        """Return the body and the note, as `Response.read_body` does."""
        note = None
        try:
            while note is None and len(self._body) < self._length:
                part = self._sock.recv(self._length - len(self._body))
                self._body += part
                note = None if part else "body_broken"
        except TransportError as error:
            note = "body_cut" if error.reason == "response_too_large" else "body_timeout"
        except (OSError, ValueError):
            note = "body_broken"
        return self._body, note

    def release(self) -> None:
        """Give the connection back when it can carry another request, else close it."""
        if len(self._body) == self._length:
            self.pool.keep(self.connection)
        else:
            self.connection.close()


def answer(sock: Any, method: str) -> Response | ShortAnswer:
    """Read the head of an answer; raises TransportError. Short answers come with one read."""
    first = sock.recv(FIRST_READ)
    if short := _short_answer(first, sock, method):
        return short
    response = Response(cast(Any, BegunRead(first, sock)), method=method)
    try:
        response.begin()
    except BaseException:
        response.close()
        raise
    return response


def _short_answer(first: bytes, sock: Any, method: str) -> ShortAnswer | None:
    """Return the answer that begins with the first bytes, or None if it needs the careful reader."""
    match = PLAIN_HEAD.match(first)
    if match is None or method == "HEAD":
        return None
    fields = HeaderFields()
    for line in match[2].decode("iso-8859-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        fields.add(name, value.strip())
    status, body = int(match[1]), first[match.end() :]
    length = 0 if status in (204, 304) else _length(fields.get("content-length", ""))
    if length is None or "transfer-encoding" in fields or "close" in fields.get("connection", "").lower():
        return None
    if len(body) > length or length > socket_budget.current.get().body_limit:
        return None
    return ShortAnswer(status, fields, length, body, sock)


def _length(text: str) -> int | None:
    """Return the Content-Length, None when it is missing, garbled or contradicts itself."""
    values = {value.strip() for value in text.split(",")} if "," in text else {text}
    value = values.pop()
    return int(value) if not values and value.isascii() and value.isdigit() and len(value) < 19 else None
