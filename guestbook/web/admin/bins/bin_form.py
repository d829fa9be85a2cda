"""The form of a bin: what was typed, as the form shows it and as the rules take it."""

from dataclasses import dataclass
from typing import Any, Self

from flask import request

from guestbook.inbound import bins
from guestbook.lib import ids
from guestbook.lib.text import clean_line
from guestbook.storage.models import Bin


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of a bin."""

    key: str = ""  # the id of the bin that it adds: sent twice, it adds one
    name: str = ""
    status: str = "200"
    body: str = ""
    type: str = bins.TYPES[0]
    delay: str = "0"
    fail: str = "0"

    @classmethod
    def read(cls) -> Self:
        """Read what was sent; the lines of the body end in LF, whatever the browser makes of them."""
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
        """Return what the form of a bin that is there shows."""
        return cls(
            name=bin_.name,
            status=str(bin_.answer_status),
            body=bin_.answer_body,
            type=bin_.answer_type.partition(";")[0],
            delay=f"{bin_.delay_milliseconds / 1000:g}",
            fail=str(bin_.failures_left),
        )

    def fields(self) -> dict[str, Any]:
        """Return it under the names that the rules know."""
        return {
            "name": self.name or bins.UNNAMED,
            "status": self.status,
            "body": self.body,
            "type": self.type,
            "delay": self.delay,
            "fail": self.fail,
        }
