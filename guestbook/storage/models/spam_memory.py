"""What the spam rules remember: learned words, marks of texts, and refusals at the form."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.storage.database import Base


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

    comment_id: Mapped[str] = mapped_column(
        ForeignKey("comments.id", name="text_marks_comment", ondelete="CASCADE"), primary_key=True
    )
    first: Mapped[str] = mapped_column(String(16))
    second: Mapped[str] = mapped_column(String(16))


class Refusal(Base):
    """How many comments the form refused on a day for one reason."""

    __tablename__ = "refusals"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # the day and the reason
    day: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20))
    number: Mapped[int]
