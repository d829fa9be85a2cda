"""What an evaluation decides: an error, a note that nothing is to do, or an action. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guestbook.comments.comment_form import Draft
from guestbook.inbound.federation import RemoteComment
from guestbook.inbound.metadata import Metadata
from guestbook.lib import clock
from guestbook.storage.models import Comment, Source

BECAME = "It became a comment"  # so begins the note of an event that made one


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
class WriteMention:
    """Write the comment of a page that mentions the book, or bring it up to date."""

    draft: Draft
    url: str  # of the page
    host: str  # of the page


@dataclass(frozen=True, slots=True)
class RemoveMention:
    """Remove the comment of a page that mentions the book no more."""

    url: str
    host: str
    why: str  # a sentence


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
    action: WriteComment | RemoveComment | WriteMention | RemoveMention | ForwardEvent | None = None
    was_verified: bool = True  # False if an error of ours came first
    home: str | None = None  # address of the comment that another guestbook tells of
    retry_after: float | None = None  # after an error: try again by the schedule, after so many seconds
    retry_at: datetime | None = None  # when that is; None if the schedule is used up
    mark: str | None = None  # the same for replays of the event, where its sender signs the time

    def after(self, done: "Effect") -> "InboundDecision":
        """Return the decision with the error that only the action has met; the sender is to blame for it."""
        return replace(self, error=done.error, is_genuine=False) if done.error else self

    @property
    def fate(self) -> str:
        """Return what becomes of an event with an error."""
        return f"will be retried at {clock.to_text(self.retry_at)}" if self.retry_at else "failed"

    def proves(self, source: Source) -> bool:
        """Whether it is known that the source has sent it."""
        return self.is_genuine and self.was_verified and source.verify != "none"


@dataclass(frozen=True, slots=True)
class Effect:
    """What was done, in words, and the comment that it became or is about; or why nothing could be done."""

    note: str
    comment_id: str | None = None
    error: str | None = None

    @classmethod
    def of_new(cls, comment: Comment) -> "Effect":
        """Return the one of an event that made this comment."""
        return cls(
            f"{BECAME}." if comment.status == "published" else f"{BECAME}, {comment.status}.", comment.id
        )
