"""Publish, hold or spam, and why.

Only the suspicious waits: an owner who must approve everything gives up.
"""

import re
from dataclasses import dataclass

from guestbook.comments.comment_form import Draft

QUICKEST_PERSON = 3.0  # seconds to write something with a link in it
MOST_LINKS = 3  # in a message that nobody looks at first

# What the page turns into a link: an address, or a bare host under one of the old top-level domains.
LINK = re.compile(
    r"https?://[\w.-]*|\bwww\.[\w.-]+|(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|int|edu|gov|org|info|mil)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of a comment, and a sentence for the owner when it is not published."""

    status: str  # published | held | spam
    reason: str | None


def verdict(draft: Draft, *, trap: str, age: float | None, moderation: str = "suspicious") -> Verdict:
    """Judge a draft by the hidden field's content and the form's age in seconds, None when nobody knows it.

    Quick alone is no crime: browsers fill in forms, and a greeting is short. `moderation` says who waits for
    the owner: `off` nobody, `suspicious`, or `all`. What programs write is spam under each of them.
    """
    links = len(LINK.findall(draft.message))
    if trap:
        return Verdict("spam", "The hidden field was filled in, which people cannot see.")
    if links and age is not None and age < QUICKEST_PERSON:
        return Verdict("spam", f"It holds a link and was written in {age:.1f} seconds.")
    if moderation == "all":
        return Verdict("held", "You look at every comment before it appears.")
    if links > MOST_LINKS and moderation != "off":
        return Verdict("held", f"It holds {links} links; more than {MOST_LINKS} wait for your approval.")
    return Verdict("published", None)
