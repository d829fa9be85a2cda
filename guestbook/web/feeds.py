"""The newest comments as feeds: Atom (RFC 4287) and JSON Feed 1.1, for readers and for static sites.

Both are paged as RFC 5005 says, so that a program can read the whole book.
"""

import re
import uuid
from json import dumps
from typing import Any
from urllib.parse import quote

from flask import Blueprint, get_template_attribute, render_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from guestbook.lib import clock, ids
from guestbook.lib.text import LINE_ENDS, UNWANTED, shortened
from guestbook.queries import filtered_lists
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.web import request_context, response_headers, translation_and_template_filters

NOT_IN_AN_IRI = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~\x80-\U0010ffff]")


def _item(comment: Comment, base_url: str) -> dict[str, Any]:
    """Return an item of a JSON Feed, in text that XML and JSON can hold.

    Its id stays the same wherever the book moves.
    """
    name, message = inert(comment.name), inert(comment.message)
    reply = inert(comment.reply.message) if comment.reply else None
    safe = translation_and_template_filters.weblink(comment.website)
    # An IRI may have any script (RFC 3987).
    website = safe and NOT_IN_AN_IRI.sub(lambda found: quote(found[0]), inert(safe))
    return {
        "id": uuid.UUID(comment.id).urn,
        "url": comment.url(base_url),
        "title": f"{name}: {shortened(' '.join(message.split()), 60)}",
        "content_html": _content("html", message, reply),
        "content_text": _content("text", message, reply),
        "date_published": clock.to_text(comment.created_at),
        "date_modified": clock.to_text(comment.updated_at),
        "authors": [{"name": name} | ({"url": website} if website else {})],
    }


def inert(words: str) -> str:
    """Return the text without characters that break XML or turn text around.

    The form has removed them already, but a row may have come into the table by another way.
    """
    return UNWANTED.sub("", LINE_ENDS.sub("\n", words))


def _content(kind: str, message: str, reply: str | None) -> str:
    content: Markup = get_template_attribute("_feed_content.html", kind)(message, reply)
    return str(content).strip("\n")


pages = Blueprint("feeds", __name__)

FEED_LENGTH = 50  # comments on a page


@pages.get("/feed.atom")
def atom() -> ResponseReturnValue:
    """Return the feed as Atom."""
    body = render_template("feed.xml", feed=_feed("/feed.atom"))
    return response_headers.public(body, "application/atom+xml; charset=utf-8")


@pages.get("/feed.json")
def json() -> ResponseReturnValue:
    """Return the feed as a JSON Feed."""
    feed = {name: value for name, value in _feed("/feed.json").items() if value is not None}
    document = {"version": "https://jsonfeed.org/version/1.1", **feed}
    del document["id"], document["updated"]  # They are for Atom.
    # Other scripts than Latin stay readable.
    body = dumps(document, ensure_ascii=False, separators=(",", ":"))
    return response_headers.public(body, "application/feed+json; charset=utf-8")


def _feed(path: str) -> dict[str, Any]:
    """Return a page of a JSON Feed, with the id and the time that Atom wants. All addresses are absolute."""
    before, base_url = response_headers.page_before(), request_context.settings().base_url
    page = filtered_lists.comments(db.session(), "published", before=before, limit=FEED_LENGTH)
    address = base_url + path
    updated_at = max((comment.updated_at for comment in page.rows), default=ids.EPOCH)
    return {
        # Not a `tag:`, which allows no port and must not change with the year.
        "id": uuid.uuid5(uuid.NAMESPACE_URL, f"{base_url}/").urn,
        "updated": clock.to_text(updated_at),
        "title": inert(request_context.preferences().title),
        "home_page_url": f"{base_url}/",
        "feed_url": f"{address}?before={before}" if before else address,
        "next_url": f"{address}?before={page.older}" if page.older else None,
        "items": [_item(comment, base_url) for comment in page.rows],
    }
