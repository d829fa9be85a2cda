"""How long the owner's answer to a comment may be."""

import json

from guestbook.lib import validate
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Reply

REPLY_LIMIT = 4000  # characters
# Bytes of a comment and its reply as JSON, so that the payload of a webhook stays under 20 kB. A comment of
# 4,000 emoji almost fills it alone, so the longest comments leave little room for a reply.
REPLIED_LIMIT = 19_000


def check(comment: Comment, answer: Reply, settings: Settings) -> None:
    """Raise Refused when the answer is too long, by itself or together with its comment."""
    if sentence := validate.too_long("Your answer", answer.message, REPLY_LIMIT):
        raise Refused(sentence, field="reply")
    too_many = excess(comment, answer, settings)
    if too_many > 0:
        sentence = (
            f"The comment is very long, and webhooks get both. Please remove about {too_many:,} letters here."
        )
        raise Refused(sentence, field="reply", only_here=True)


def excess(comment: Comment, answer: Reply, settings: Settings) -> int:
    """Return how many bytes the two have more than a payload may hold; not above 0 when they fit."""
    both = json.dumps([comment.for_owner(settings.base_url), answer.public()], ensure_ascii=False)
    return len(both.encode()) - REPLIED_LIMIT
