"""What an evaluation decides: an error, a note that nothing is to do, or an action. Pure."""

from dataclasses import dataclass
from typing import Any

from guestbook.comments.comment_form import Draft
from guestbook.inbound.federation import RemoteComment
from guestbook.inbound.metadata import Metadata
from guestbook.storage.models import Source


@dataclass(frozen=True, slots=True)
class WriteComment:
    """Write a comment."""

    draft: Draft
    is_proven: bool  # that the sender is the source
    remote: RemoteComment | None  # if another guestbook sent it


@dataclass(frozen=True, slots=True)
class RemoveComment:
    """Remove our copy of another book's comment."""

    home: str


@dataclass(frozen=True, slots=True)
class ForwardEvent:
    """Pass the event on as `inbound.received`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboundDecision:
    """What is to be done about one event, and why."""

    metadata: Metadata
    is_genuine: bool = False
    error: str | None = None
    note: str | None = None
    action: WriteComment | RemoveComment | ForwardEvent | None = None
    was_verified: bool = True  # False if an error of ours came first
    home: str | None = None  # address of the comment that another guestbook tells of

    def proves(self, source: Source) -> bool:
        """Whether it is known that the source has sent it."""
        return self.is_genuine and self.was_verified and source.verify != "none"
