"""Decide whether a comment is published, held or spam, and why.

Only suspicious comments wait: an owner who must approve everything gives up.
"""

import re
from dataclasses import dataclass

from guestbook.comments.comment_form import Draft

QUICKEST_PERSON = 3.0  # seconds to write a text with a link
MOST_LINKS = 3  # in a message that is published at once

# The page makes links of these: an address, or a bare host under one of the old top-level domains.
LINK_PATTERN = re.compile(
    r"https?://[\w.-]*|\bwww\.[\w.-]+|(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|int|edu|gov|org|info|mil)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Classification:
    """The status of a comment, and a sentence for the owner if it is not published."""

    status: str  # published | held | spam
    reason: str | None


def classify(draft: Draft, *, trap: str, age: float | None, moderation: str = "suspicious") -> Classification:
    """Classify a draft by the hidden field's content and the form's age in seconds, if it is known.

    Quick alone is not suspicious: browsers fill in forms, and a greeting is short. `moderation` says which
    comments wait for the owner: none (`off`), `suspicious` or `all`. Comments of programs are always spam.
    """
    links = len(LINK_PATTERN.findall(draft.message))
    if trap:
        return Classification("spam", "It filled in the hidden field, which people cannot see.")
    if links and age is not None and age < QUICKEST_PERSON:
        return Classification("spam", f"It holds a link and was written in {age:.1f} seconds.")
    if moderation == "all":
        return Classification("held", "You look at every comment before it appears.")
    if links > MOST_LINKS and moderation != "off":
        return Classification(
            "held", f"It holds {links} links; more than {MOST_LINKS} wait for your approval."
        )
    return Classification("published", None)
