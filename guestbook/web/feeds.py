"""The newest comments as feeds: Atom (RFC 4287) and JSON Feed 1.1, for readers and for static sites.

Both are paged as RFC 5005 says, so that a program can read the whole book.
"""

import re
import uuid
from collections.abc import Sequence
from json import dumps
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, abort, get_template_attribute, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from guestbook.lib import clock, ids, validate
from guestbook.lib.errors import Translatable
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
ATOM_TYPE = "application/atom+xml; charset=utf-8"
REPLIED = Translatable("The owner replied")


@pages.get("/feed.atom")
def atom() -> ResponseReturnValue:
    """Return the feed as Atom."""
    body = render_template("feed.xml", feed=_feed("/feed.atom"))
    return response_headers.public(body, ATOM_TYPE)


@pages.get("/feed.json")
def json() -> ResponseReturnValue:
    """Return the feed as a JSON Feed."""
    feed = {name: value for name, value in _feed("/feed.json").items() if value is not None}
    document = {"version": "https://jsonfeed.org/version/1.1", **feed}
    del document["id"], document["updated"]  # They are for Atom.
    # Other scripts than Latin stay readable.
    body = dumps(document, ensure_ascii=False, separators=(",", ":"))
    return response_headers.public(body, "application/feed+json; charset=utf-8")


@pages.get("/comments/<comment_id>.atom")
def of_comment(comment_id: str) -> ResponseReturnValue:
    """Return a comment and the owner's reply as Atom: its visitor finds out when there is an answer."""
    comment = db.session.get(Comment, comment_id) if ids.ID.fullmatch(comment_id) else None
    if comment is None or comment.status != "published":
        abort(404)
    base_url, title = request_context.settings().base_url, inert(request_context.preferences().title)
    item = _item(comment, base_url)
    feed = _head(comment.url(base_url), comment.url(base_url) + ".atom", [comment])
    items = [{**item, "content_html": _content("html", inert(comment.message), None)}]
    if comment.reply:
        reply = {"content_html": _content("html", inert(comment.reply.message), None)}
        told = {"title": translation_and_template_filters.translated(REPLIED), "authors": [{"name": title}]}
        when = dict.fromkeys(("date_published", "date_modified"), clock.to_text(comment.reply.created_at))
        items.insert(0, item | reply | told | when | {"id": uuid.uuid5(uuid.UUID(comment.id), "reply").urn})
    body = render_template("feed.xml", feed=feed | {"title": f"{title}: {item['title']}", "items": items})
    return response_headers.public(body, ATOM_TYPE)


def _feed(path: str) -> dict[str, Any]:
    """Return a page of a JSON Feed, with the id and the time that Atom wants. All addresses are absolute."""
    before, base_url, about = response_headers.page_before(), request_context.settings().base_url, _about()
    page = filtered_lists.comments(db.session(), "published", before=before, limit=FEED_LENGTH, page=about)

    def address(before: str | None) -> str:
        given = {name: value for name, value in {"page": about, "before": before}.items() if value}
        return base_url + path + (f"?{urlencode(given)}" if given else "")

    return _head(about or f"{base_url}/", address(before), page.rows) | {
        "title": inert(request_context.preferences().title),
        "next_url": address(page.older) if page.older else None,
        "items": [_item(comment, base_url) for comment in page.rows],
    }


def _about() -> str | None:
    """Return the page of a website that the feed is about; 404 for a wrong address."""
    typed = request.args.get("page")
    try:
        return validate.web_page(typed) if typed else None
    except ValueError:
        abort(404)


def _head(home: str, address: str, comments: Sequence[Comment]) -> dict[str, Any]:
    """Return what a feed says of itself: whose feed it is, its address, and when it last changed."""
    updated_at = max((comment.updated_at for comment in comments), default=ids.EPOCH)
    return {
        # Not a `tag:`, which allows no port and must not change with the year.
        "id": uuid.uuid5(uuid.NAMESPACE_URL, home).urn,
        "updated": clock.to_text(updated_at),
        "home_page_url": home,
        "feed_url": address,
    }
