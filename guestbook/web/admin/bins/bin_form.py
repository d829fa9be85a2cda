"""The form of a bin, between the page and `inbound.bins`."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from flask import request

from guestbook.inbound import bins
from guestbook.lib import ids
from guestbook.lib.text import clean_line
from guestbook.storage.models import Bin


@dataclass(frozen=True, slots=True)
class BinForm:
    """The typed fields of a bin."""

    key: str = ""  # the id of the new bin, so sending the form twice adds one
    name: str = ""
    status: str = "200"
    body: str = ""
    type: str = bins.ANSWER_TYPES[0]
    delay: str = "0"
    fail: str = "0"

    @classmethod
    def read(cls) -> Self:
        """Read the sent form; the lines of the body end in LF."""
        sent = request.form
        key = sent.get("key", "")
        return cls(
            key=key if ids.ID.fullmatch(key) else ids.new(),
            name=clean_line(sent.get("name", "")),
            status=clean_line(sent.get("status", "")),
            body=sent.get("body", "").replace("\r\n", "\n"),
            type=sent.get("type", ""),
            delay=clean_line(sent.get("delay", "")),
            fail=clean_line(sent.get("fail", "")),
        )

    @classmethod
    def of(cls, bin_: Bin) -> Self:
        """Return the fields of an existing bin."""
        return cls(
            name=bin_.name,
            status=str(bin_.answer_status),
            body=bin_.answer_body,
            type=bin_.answer_type.partition(";")[0],
            delay=f"{bin_.delay_milliseconds / 1000:g}",
            fail=str(bin_.failures_left),
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields for `bins.add` and `bins.update`."""
        left_out = {"key"} if self.name else {"key", "name"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}
