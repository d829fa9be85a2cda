"""What the owner should know about spam: refusals at the form, a flood, and what the score has learned."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from guestbook.comments import submission
from guestbook.comments.spam import comment_facts, learned_words
from guestbook.comments.submission import RefusalCount
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.storage import plain_sql
from guestbook.storage.models import LearnedWord


class SpamReport(NamedTuple):
    """The state of the spam rules."""

    refused: Sequence[RefusalCount]
    held_until: datetime | None  # the end of a flood
    good: int  # comments from which the score learned what belongs in the book
    spam: int  # comments from which it learned what does not
    words: int  # words that it knows

    def shape(self) -> dict[str, Any]:
        """Return the state as JSON, for the API and the command."""
        return {
            "refused": [one._asdict() for one in self.refused],
            "held_until": self.held_until and clock.to_text(self.held_until),
            "learned_good": self.good,
            "learned_spam": self.spam,
            "learned_words": self.words,
        }

    @property
    def score_sentence(self) -> str:
        """Say what the score knows, and whether it is enough."""
        if not self.words:
            return "The score has learned nothing yet."
        learned = (
            f"The score has learned {counted(self.words, 'word')} from {counted(self.spam, 'comment')} "
            f"of spam and {counted(self.good, 'other comment')}."
        )
        if min(self.good, self.spam) >= learned_words.FEWEST_DECISIONS:
            return learned
        return f"{learned} It holds comments once it knows {learned_words.FEWEST_DECISIONS} of each kind."


def read(session: Session, secret_key: str, now: datetime) -> SpamReport:
    """Return the state of the spam rules."""
    learned = learned_words.decisions(plain_sql.through(session), secret_key)
    words = session.scalar(select(func.count()).select_from(LearnedWord)) or 0
    return SpamReport(
        submission.refused_lately(session, now),
        comment_facts.held_until(session.connection(), secret_key, now),
        learned.good,
        learned.spam,
        max(0, words - 1),  # The row of sums is no word.
    )
