"""The mark of a comment on a page that decides about it: the owner decides only what he has read.

A visitor may change or delete a comment between the owner's look and the click. So the page's form carries
the mark, and a comment that has another mark by then is shown again first. It needs no SQLAlchemy, because
every page has this filter.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from guestbook.comments.comment_form import DRAFT_FIELDS

if TYPE_CHECKING:
    from guestbook.storage.models import Comment


def of(comment: "Comment") -> str:
    """Return the mark of its words and its status."""
    return _mark(comment, (*DRAFT_FIELDS, "status"))


def of_words(comment: "Comment") -> str:
    """Return the mark of its words alone: its visitor may correct it whatever the owner decides meanwhile."""
    return _mark(comment, DRAFT_FIELDS)


def _mark(comment: "Comment", names: Iterable[str]) -> str:
    shown = json.dumps([getattr(comment, name) for name in names])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]
