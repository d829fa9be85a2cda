"""The newest comments as feeds: Atom (RFC 4287) and JSON Feed 1.1, for readers and for static sites.

Both are paged as RFC 5005 says, so that a program can read the whole book.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.lib import ids
from guestbook.queries import lists
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.web import conditional, current, feed_items, pagination
from guestbook.web.feed_items import FeedItem

pages = Blueprint("feeds", __name__)

FEED_LENGTH = 50  # comments on a page
JSON_FEED_VERSION = "https://jsonfeed.org/version/1.1"


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of a feed. All of its addresses are absolute."""

    id: str
    title: str
    home: str
    address: str
    next: str | None  # the address of the next older page
    updated_at: datetime
    items: list[FeedItem]


@pages.get("/feed.atom")
def atom() -> ResponseReturnValue:
    """Return the feed as Atom."""
    body = render_template("feed.xml", feed=_feed("/feed.atom"))
    return conditional.public(body, "application/atom+xml; charset=utf-8")


@pages.get("/feed.json")
def json() -> ResponseReturnValue:
    """Return the feed as a JSON Feed."""
    feed = _feed("/feed.json")
    document = {
        "version": JSON_FEED_VERSION,
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        **({"next_url": feed.next} if feed.next else {}),
        "items": [item.as_json() for item in feed.items],
    }
    return conditional.public(conditional.json_text(document), "application/feed+json; charset=utf-8")


def _feed(path: str) -> Feed:
    before, base_url = pagination.before(), current.settings().base_url
    page = lists.comments(db.session(), "published", before=before, limit=FEED_LENGTH)
    address = base_url + path
    return Feed(
        id=_identity(base_url),
        title=feed_items.inert(current.preferences().title),
        home=f"{base_url}/",
        address=f"{address}?before={before}" if before else address,
        next=f"{address}?before={page.older}" if page.older else None,
        updated_at=_updated_at(page.rows),
        items=[feed_items.of(comment, base_url) for comment in page.rows],
    )


def _identity(base_url: str) -> str:
    """Return the id of the feed. Not a `tag:`, which allows no port and must not change with the year."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{base_url}/").urn


def _updated_at(comments: list[Comment]) -> datetime:
    return max((comment.updated_at for comment in comments), default=ids.EPOCH)
