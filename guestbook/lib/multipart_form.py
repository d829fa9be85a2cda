"""Take a form with files apart: multipart/form-data, RFC 7578. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    BLANK_LINE_RE,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    State,
)

from guestbook.lib import text_encoding

MULTIPART = "multipart/form-data"
BOUNDARY_LIMIT = 70  # characters, RFC 2046
PART_HEAD_LIMIT = 2048  # bytes; megabytes of headers would need a hundred times as much memory


class NotMultipart(ValueError):
    """It is no such form, it is cut off, or a part has too long a head."""


class TooManyParts(ValueError):
    """It has more parts than the caller takes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field, or a file if it has a file name."""

    name: str
    content: bytes
    content_type: str
    filename: str | None = None

    @property
    def text(self) -> str:
        """The content in the encoding that the part names, else in UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return self.content.decode(text_encoding.named(self.content_type) or "utf-8", "replace")


def parts(body: bytes, boundary: str, most: int) -> list[Part]:
    """Return the parts that have a name, in their order; raises NotMultipart and TooManyParts."""
    if not 0 < len(boundary) <= BOUNDARY_LIMIT:
        raise NotMultipart
    try:
        decoder = MultipartDecoder(boundary.encode(), max_parts=most)
        decoder.receive_data(body)
        decoder.receive_data(None)
        return [part for part in _parts(decoder) if part.name]
    except RequestEntityTooLarge:
        raise TooManyParts from None
    except ValueError:
        raise NotMultipart from None


def _parts(decoder: MultipartDecoder) -> Iterator[Part]:
    head: Field | File | None = None
    pieces: list[bytes] = []
    while not isinstance(event := _next_event(decoder), Epilogue):
        if isinstance(event, Field | File):
            head, pieces = event, []
        elif isinstance(event, Data) and head:
            pieces.append(event.data)
            if not event.more_data:
                filename = head.filename if isinstance(head, File) else None
                yield Part(head.name, b"".join(pieces), head.headers.get("content-type", ""), filename)


def _next_event(decoder: MultipartDecoder) -> Event:
    if decoder.state is State.PART and not BLANK_LINE_RE.search(decoder.buffer, 0, PART_HEAD_LIMIT):
        raise NotMultipart
    return decoder.next_event()
