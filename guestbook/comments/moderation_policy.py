"""Decide whether a comment is published, held or spam, and why. Pure: the rules stand in `spam_rules`.

Only suspicious comments wait: an owner who must approve everything gives up.
"""

from dataclasses import dataclass

from guestbook.comments.spam.spam_rules import PROGRAM_RULES, SUSPICION_RULES, CommentFacts
from guestbook.lib.text import shortened
from guestbook.storage.models.comment import REASON_LIMIT

SEVERITY = ("published", "held", "spam")
HOLD_ALL = "You look at every comment before it appears."
NOTHING_FOUND = "No rule found anything suspicious."
KNOWN_VISITOR = "Its visitor has signed the book before, and you left that comment in it."


@dataclass(frozen=True, slots=True)
class Classification:
    """The status of a comment and the reasons for it, the most important one first."""

    status: str  # published | held | spam
    reasons: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Return why it is not published."""
        return self.reasons[0] if self.reasons and self.status != "published" else None

    @property
    def text(self) -> str | None:
        """Return all reasons as they are stored, one a line."""
        return "\n".join(self.reasons) or None


def classify(facts: CommentFacts, moderation: str = "suspicious") -> Classification:
    """Classify a comment by all rules; the most severe finding decides.

    `moderation` says which comments wait for the owner: none (`off`), `suspicious` or `all`. Comments of
    programs are always spam.
    """
    rules = PROGRAM_RULES if moderation == "off" else PROGRAM_RULES + SUSPICION_RULES
    found: list[tuple[str, str]] = [finding for rule in rules if (finding := rule(facts))]
    if moderation == "all":
        found.append(("held", HOLD_ALL))
    if not found:
        known = (KNOWN_VISITOR,) if facts.is_known_visitor else ()
        return Classification("published", (*known, NOTHING_FOUND))
    found.sort(key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(shortened(sentence, REASON_LIMIT) for _, sentence in found)
    return Classification(found[0][0], reasons)
