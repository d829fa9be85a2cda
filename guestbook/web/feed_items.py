"""One comment in a feed."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import get_template_attribute
from markupsafe import Markup

from guestbook.lib import clock
from guestbook.lib.text import LINE_ENDS, UNWANTED, shortened
from guestbook.storage.models import Comment
from guestbook.web import comment_html

NOT_IN_AN_IRI = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~\x80-\U0010ffff]")
TITLE_LENGTH = 60  # characters of the message that stand in the title


@dataclass(frozen=True, slots=True)
class FeedItem:
    """A comment with the owner's reply, in text that XML and JSON can hold."""

    id: str
    url: str
    title: str
    name: str
    website: str | None
    html: str
    text: str
    created_at: datetime
    updated_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as an item of a JSON Feed."""
        author = {"name": self.name} | ({"url": self.website} if self.website else {})
        return {
            "id": self.id,
            "url": self.url,
            "title": self.title,
            "content_html": self.html,
            "content_text": self.text,
            "date_published": clock.to_text(self.created_at),
            "date_modified": clock.to_text(self.updated_at),
            "authors": [author],
        }


def of(comment: Comment, base_url: str) -> FeedItem:
    """Return the item of a comment. Its id stays the same wherever the book moves."""
    name, message = inert(comment.name), inert(comment.message)
    reply = inert(comment.reply.message) if comment.reply else None
    return FeedItem(
        id=uuid.UUID(comment.id).urn,
        url=comment.url(base_url),
        title=f"{name}: {shortened(' '.join(message.split()), TITLE_LENGTH)}",
        name=name,
        website=_iri(comment.website),
        html=_content("html", message, reply),
        text=_content("text", message, reply),
        created_at=comment.created_at,
        updated_at=comment.updated_at,
    )


def inert(words: str) -> str:
    """Return the text without characters that break XML or turn text around.

    The form has removed them already, but a row may have come into the table by another way.
    """
    return UNWANTED.sub("", LINE_ENDS.sub("\n", words))


def _content(kind: str, message: str, reply: str | None) -> str:
    content: Markup = get_template_attribute("_feed_content.html", kind)(message, reply)
    return str(content).strip("\n")


def _iri(website: str | None) -> str | None:
    """Return a safe website as an IRI (RFC 3987), which may have any script."""
    safe = comment_html.weblink(website)
    return NOT_IN_AN_IRI.sub(lambda found: quote(found[0]), inert(safe)) if safe else None
