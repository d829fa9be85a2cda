"""A visitor's comment, with its reply, origin and hold; and what the spam rules remember."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from guestbook.lib import clock, ids, validate
from guestbook.storage.column_types import belongs_to
from guestbook.storage.comment_fields import COMMENT_FIELDS, EMPTIED, PUBLIC_FIELDS
from guestbook.storage.database import Base

COMMENT_STATUSES = ("published", "held", "spam", "trash")
KNOWN_STATUSES = ("published", "held")  # comments with these stand in the book or wait to
REASON_LIMIT = 200  # characters, of one reason
DECISIONS_LIMIT = 100  # the newest of a comment; more would not fit MariaDB's TEXT
# Who decides about comments, as the sentence for people names them; some have a name.
DECIDERS = {
    "admin": "you",
    "token": "the token {}",
    "command": "the command {}",
    "link": "a moderation link",
    "source": "the source {}",
    "visitor": "its visitor",
    "rules": "the spam rules",
    "nobody": "the program",
}
DECISIONS = {
    "published": "Published",
    "held": "Held",
    "spam": "Marked as spam",
    "trash": "Moved to the trash",
    "edited": "Edited",
    "replied": "Replied to",
    "reply_removed": "Reply removed",
}


class CommentDecision(NamedTuple):
    """What somebody did with a comment, and when."""

    at: datetime
    action: str  # one of DECISIONS
    actor: str  # one of DECIDERS
    name: str | None

    @property
    def sentence(self) -> str:
        """Return it in words: `Published by the token Robot`."""
        who = DECIDERS.get(self.actor, self.actor).format(self.name or "")
        return f"{DECISIONS.get(self.action, self.action)} by {who}".rstrip()

    def public(self) -> dict[str, str | None]:
        """Return it as programs get it."""
        return {**self._asdict(), "at": clock.to_text(self.at)}


class Reply(Base):
    """The owner's answer to a comment."""

    __tablename__ = "replies"

    comment_id: Mapped[str] = belongs_to("comments", "replies_comment", primary_key=True)
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    def public(self) -> dict[str, str]:
        """Return its public part."""
        return {"message": self.message, "created_at": clock.to_text(self.created_at)}


class Origin(Base):
    """Where a comment came from that no visitor wrote here."""

    __tablename__ = "origins"
    __table_args__ = (UniqueConstraint("url", name="origins_url"),)

    comment_id: Mapped[str] = belongs_to("comments", "origins_comment", primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str | None] = mapped_column(String(500))
    told_at: Mapped[datetime | None]
    source_id: Mapped[str | None] = mapped_column(String(32))

    def public(self) -> dict[str, str | None]:
        """Return its public part."""
        return {"name": self.name, "url": self.url}


class Hold(Base):
    """What a held comment waits for. The row stays for a while after the owner's decision."""

    __tablename__ = "holds"
    __table_args__ = (
        Index("holds_by_reminder", "remind_at"),
        Index("holds_by_decision", "decided_at", "held_at"),
    )

    comment_id: Mapped[str] = belongs_to("comments", "holds_comment", primary_key=True)
    held_at: Mapped[datetime]
    remind_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    action: Mapped[str | None] = mapped_column(String(10))


# Rows that are read with the comments, in one query for all of them, so that no template has to ask.
WITH_COMMENT: Any = {"lazy": "selectin", "cascade": "all, delete-orphan", "passive_deletes": True}


class Comment(Base):
    """One signature in the book."""

    __tablename__ = "comments"
    __table_args__ = (
        UniqueConstraint("form_key", name="comments_form_key"),
        CheckConstraint(f"status IN {COMMENT_STATUSES}", name="comments_status"),
        Index("comments_by_status", "status", "id"),
        Index("comments_by_number", "number", unique=True),
        Index("comments_by_page", "page", "status", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(COMMENT_FIELDS["name"].limit))
    website: Mapped[str | None] = mapped_column(String(COMMENT_FIELDS["website"].limit))
    message: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(9))
    reason: Mapped[str | None] = mapped_column(String(REASON_LIMIT))
    form_key: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    announced_at: Mapped[datetime | None]
    edited_at: Mapped[datetime | None]
    reasons: Mapped[str | None] = mapped_column(Text)
    spam_since: Mapped[datetime | None]
    learned_as: Mapped[str | None] = mapped_column(String(4))
    number: Mapped[int | None]
    place: Mapped[str | None] = mapped_column(String(COMMENT_FIELDS["place"].limit))
    note: Mapped[str | None] = mapped_column(Text)
    decisions: Mapped[str | None] = mapped_column(Text)
    last_sequence: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    mood: Mapped[str | None] = mapped_column(String(COMMENT_FIELDS["mood"].limit))
    page: Mapped[str | None] = mapped_column(String(validate.PAGE_LIMIT))
    reply: Mapped[Reply | None] = relationship(**WITH_COMMENT)
    origin: Mapped[Origin | None] = relationship(**WITH_COMMENT)

    @property
    def is_known(self) -> bool:
        """Whether it stands in the book or waits to: its receivers know it."""
        return self.status in KNOWN_STATUSES

    @property
    def last_announced_at(self) -> datetime | None:
        """Return when receivers last got it as new; old comments have no such time."""
        return self.announced_at or (None if self.reason else self.created_at)

    @property
    def updated_at(self) -> datetime:
        """Return when it last changed for its readers: written, edited or answered."""
        answered = self.reply.created_at if self.reply else None
        return max(filter(None, (self.created_at, self.edited_at, answered)))

    @property
    def home(self) -> str:
        """Return the status that it goes back to: published, or held where it was suspicious."""
        return "held" if self.reason else "published"

    @property
    def all_reasons(self) -> list[str]:
        """Return why the spam rules decided as they did; of older comments only the most important reason."""
        return self.reasons.split("\n") if self.reasons else [self.reason] if self.reason else []

    @property
    def all_decisions(self) -> list[CommentDecision]:
        """Return who decided about it, the newest first."""
        lines = [f"{line}   ".split(" ", 3) for line in reversed((self.decisions or "").splitlines())]
        return [CommentDecision(clock.stored(at), do, by, of.strip() or None) for at, do, by, of in lines]

    def note_decision(self, action: str, actor: str, name: str | None, now: datetime) -> None:
        """Write down who did what. Only a token, a command and a source have a name."""
        known = name if "{}" in DECIDERS[actor] else None
        line = " ".join(filter(None, (clock.to_text(now), action, actor, known)))
        self.decisions = "\n".join([*(self.decisions or "").splitlines(), line][-DECISIONS_LIMIT:])

    def set_status(self, status: str, now: datetime) -> None:
        """Change the status, and note since when it is spam."""
        self.spam_since = (self.spam_since or now) if status == "spam" else None
        self.status = status

    def url(self, base_url: str) -> str:
        """Return the absolute permalink."""
        return f"{base_url}/comments/{self.id}"

    @property
    def goes_to_webhooks(self) -> bool:
        """Whether our webhooks get its events: what a webhook brought might otherwise go in circles."""
        return self.origin is None or self.origin.told_at is not None

    def public(self, base_url: str) -> dict[str, Any]:
        """Return its public part: never an address, its hash, a user agent, or the note to the owner.

        A comment from elsewhere has an `origin`, so another book can see that it has it already.
        """
        public: dict[str, Any] = {
            "id": self.id,
            **{name: getattr(self, name) for name in PUBLIC_FIELDS},
            "status": self.status,
            "url": self.url(base_url),
            "created_at": clock.to_text(self.created_at),
            "number": self.number,
            "page": self.page,
        }
        return public | ({"origin": self.origin.public()} if self.origin else {})

    def for_owner(self, base_url: str) -> dict[str, Any]:
        """Return the same with the note, if there is one: for readers who act for the owner."""
        return self.public(base_url) | ({"note": self.note} if self.note else {})

    def without_words(self, base_url: str) -> dict[str, Any]:
        """Return its public part without what the visitor typed or sent: it may stay after a deletion."""
        return self.public(base_url) | EMPTIED | {"page": None}


class LearnedWord(Base):
    """In how many comments that the owner judged a word was. The word itself is not stored."""

    __tablename__ = "learned_words"

    hash: Mapped[str] = mapped_column(String(16), primary_key=True)
    good: Mapped[int]
    spam: Mapped[int]
    changed_at: Mapped[datetime]


class TextMark(Base):
    """Two marks of a comment's text: another comment with one of them may have almost the same text."""

    __tablename__ = "text_marks"
    __table_args__ = (
        Index("text_marks_by_first", "first", "comment_id"),
        Index("text_marks_by_second", "second", "comment_id"),
    )

    comment_id: Mapped[str] = belongs_to("comments", "text_marks_comment", primary_key=True)
    first: Mapped[str] = mapped_column(String(16))
    second: Mapped[str] = mapped_column(String(16))


class Refusal(Base):
    """How many comments the form refused on a day for one reason."""

    __tablename__ = "refusals"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # the day and the reason
    day: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20))
    number: Mapped[int]
