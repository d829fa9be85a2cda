"""The feeds: readers take every comment as it is, hostile ones too, and get it again only when it changed."""

import json
import uuid
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import feedparser
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from sqlalchemy import insert

from guestbook.comments import comment_actions, comment_form
from guestbook.lib import clock
from guestbook.storage import preferences
from guestbook.storage.models import Comment
from guestbook.web import feeds
from tests.support import factories
from tests.support.amount import examples
from tests.support.visitor import Visitor, add, attributes, text
from tests.web.conftest import Later
from tests.web.test_hostile import HOSTILE, MARKUP, TYPED

FEEDS = ("/feed.atom", "/feed.json")
ATOM = "{http://www.w3.org/2005/Atom}"
BROKEN = "a\x08\x0b\x1b\x7f\x85b\u202ec\u2066d\ufffee\ufdd0 ]]> &amp; <b>"

# https://www.jsonfeed.org/version/1.1/
AUTHOR = {
    "type": "object",
    "properties": {name: {"type": "string", "minLength": 1} for name in ("name", "url", "avatar")},
    "minProperties": 1,
    "additionalProperties": False,
}
TIME = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
ITEM = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$"},
        "url": {"type": "string", "pattern": "^https://book.example/comments/[0-9a-f]{32}$"},
        "title": {"type": "string"},
        "content_html": {"type": "string"},
        "content_text": {"type": "string"},
        "date_published": TIME,
        "date_modified": TIME,
        "authors": {"type": "array", "items": AUTHOR, "minItems": 1},
    },
    "required": ["id"],
    "anyOf": [{"required": ["content_html"]}, {"required": ["content_text"]}],
    "additionalProperties": False,
}
JSON_FEED = {
    "type": "object",
    "properties": {
        "version": {"const": "https://jsonfeed.org/version/1.1"},
        "title": {"type": "string"},
        "home_page_url": {"type": "string", "pattern": "^https://"},
        "feed_url": {"type": "string", "pattern": "^https://"},
        "next_url": {"type": "string", "pattern": "^https://"},
        "items": {"type": "array", "items": ITEM},
    },
    "required": ["version", "title", "items"],
    "additionalProperties": False,
}


def atom(visitor: Visitor, url: str = "/feed.atom") -> Any:
    """Read the feed as a feed reader does; a fault of any kind makes it a `bozo`."""
    answer = visitor.get(url)
    assert answer.content_type == "application/atom+xml; charset=utf-8"
    with warnings.catch_warnings(action="ignore"):
        feed = feedparser.parse(answer.data, response_headers={"content-type": answer.content_type})
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


def json_feed(visitor: Visitor, url: str = "/feed.json") -> Any:
    answer = visitor.get(url)
    assert answer.content_type == "application/feed+json; charset=utf-8"
    feed = json.loads(answer.data)
    Draft202012Validator(JSON_FEED).validate(feed)
    return feed


def test_an_entry_says_who_wrote_what_and_when(visitor: Visitor) -> None:
    when = datetime(2026, 3, 5, 22, 30, 1, 5000, UTC)
    website = "https://grüße.example/ä|b"
    (comment_id,) = add(["Hello,\nsee https://a.example"], name="Grace", website=website, created_at=when)
    [entry] = atom(visitor).entries
    assert entry.id == uuid.UUID(comment_id).urn
    assert entry.link == f"https://book.example/comments/{comment_id}"
    assert entry.title == "Grace: Hello, see https://a.example"
    assert (entry.author, entry.author_detail.href) == ("Grace", "https://grüße.example/ä%7Cb")
    assert entry.published == entry.updated == "2026-03-05T22:30:01.005Z"
    link = '<a href="https://a.example" rel="nofollow noopener ugc">https://a.example</a>'
    assert entry.content[0].value == f"<p>Hello,<br />see {link}</p>"
    [item] = json_feed(visitor)["items"]
    assert item["content_text"] == "Hello,\nsee https://a.example"
    assert item["id"] == entry.id
    assert item["url"] == entry.link
    assert item["authors"] == [{"name": "Grace", "url": entry.author_detail.href}]
    assert item["date_published"] == item["date_modified"] == "2026-03-05T22:30:01.005Z"


def test_the_owners_reply_is_in_it_and_makes_it_new(visitor: Visitor, later: Later) -> None:
    later.stand_still()
    (comment_id,) = add(["Hello"], created_at=clock.now())
    later(60)
    factories.change(comment_id, comment_actions.reply, "<b>Thank\nyou")
    feed = atom(visitor)
    [entry] = feed.entries
    assert "<p>The owner replied:</p><p>&lt;b&gt;Thank<br />you</p>" in entry.content[0].value
    assert (entry.updated, feed.feed.updated) == (clock.to_text(clock.now()),) * 2
    assert entry.published == clock.to_text(clock.now() - timedelta(minutes=1))
    [item] = json_feed(visitor)["items"]
    assert item["content_text"] == "Hello\n\nThe owner replied:\n\n<b>Thank\nyou"
    assert item["date_modified"] == entry.updated


def test_an_edited_comment_is_new_too(visitor: Visitor, later: Later) -> None:
    later.stand_still()
    (comment_id,) = add(["Hello"], created_at=clock.now())
    for message, minutes in (("Hello", 0), ("Hello you", 60)):
        later(60)
        factories.change(
            comment_id, comment_actions.edit, comment_form.read({"name": "Ada", "message": message})
        )
        [entry] = atom(visitor).entries
        assert entry.updated == clock.to_text(clock.now() - timedelta(seconds=60 if not minutes else 0))


def test_hostile_comments_are_inert_and_well_formed(visitor: Visitor) -> None:
    for words in HOSTILE:
        visitor.sign(name=words[:80], message=words)
    add([BROKEN, *HOSTILE], name=BROKEN, website="javascript:alert(1)")
    factories.written(lambda session: preferences.save(session, {"title": "<script>]]>&amp;{{ 7*7 }}"}))
    feed, items = atom(visitor), json_feed(visitor)["items"]
    assert feed.feed.title == "<script>]]>&amp;{{ 7*7 }}" == json_feed(visitor)["title"]
    assert len(feed.entries) == len(items) > len(HOSTILE)
    for entry, item in zip(feed.entries, items, strict=True):
        assert item["title"] == entry.title
        assert "href" not in entry.get("author_detail", {})
        for html in (entry.content[0].value, item["content_html"]):
            assert not [mark for mark in ("<script", "<img", "<!--", "<b>") if mark in html]
        assert feeds.inert(item["content_text"]) == item["content_text"]
    raw = ElementTree.fromstring(visitor.get("/feed.atom").data)
    contents = [element.text for element in raw.iter(f"{ATOM}content")]
    assert contents == [item["content_html"] for item in items]
    assert "a\nbcde ]]> &amp; <b>" in {item["content_text"] for item in items}


@given(name=TYPED | MARKUP, website=TYPED | MARKUP, message=TYPED | MARKUP)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(10)
)
def test_any_row_makes_feeds_that_can_be_read(app: Flask, name: str, website: str, message: str) -> None:
    """Even one that never went through the form. The databases refuse half characters, and PostgreSQL NUL."""
    kept = {
        field: "".join(one for one in value if one != "\0" and not "\ud800" <= one <= "\udfff")
        for field, value in {"name": f"x{name}", "website": website, "message": message}.items()
    }
    factories.written(lambda session: session.execute(insert(Comment).values(**kept, status="published")))
    visitor = Visitor(app)
    assert len(atom(visitor).entries) == len(json_feed(visitor)["items"])


@pytest.mark.parametrize("status", ["held", "spam", "trash"])
@pytest.mark.parametrize("url", FEEDS)
def test_only_published_comments_are_there(visitor: Visitor, status: str, url: str) -> None:
    hidden = add(["you must not read this"], name="Mallory", status=status, reason="because")
    add(["fine"])
    for address in (url, f"{url}?before={'f' * 32}"):
        answer = visitor.get(address).text
        assert "fine" in answer
        for word in ("must not", "Mallory", "because", *hidden, str(uuid.UUID(hidden[0]))):
            assert word not in answer


def test_the_pages_of_a_feed_hold_the_whole_book(visitor: Visitor) -> None:
    ids = add(map(str, range(feeds.FEED_LENGTH * 2 + 1)))
    seen: dict[str, list[str]] = {"atom": [], "json": []}
    url: str | None = "/feed.json"
    while url:
        feed = json_feed(visitor, url)
        assert feed["feed_url"].removeprefix("https://book.example") == url
        seen["json"] += [item["id"] for item in feed["items"]]
        url = feed.get("next_url", "").removeprefix("https://book.example")
    url = "/feed.atom"
    while url:
        page = atom(visitor, url)
        links = {link.rel: link.href.removeprefix("https://book.example") for link in page.feed.links}
        assert links["self"] == url
        seen["atom"] += [entry.id for entry in page.entries]
        url = links.get("next")
    assert seen["atom"] == seen["json"] == [uuid.UUID(one).urn for one in reversed(ids)]


def test_all_addresses_are_below_it(app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    below = replace(app.config["GUESTBOOK"], base_url="https://host.example/book")
    monkeypatch.setitem(app.config, "GUESTBOOK", below)
    add(["Hello"])
    page = atom(visitor)
    links = [page.entries[0].link, *(link.href for link in page.feed.links)]
    assert all(link.startswith("https://host.example/book/") for link in links)
    found = visitor.page().findall(".//head/link[@rel='alternate']")
    assert {link.attrib["href"].rpartition("/")[0] for link in found} == {"https://host.example/book"}


@pytest.mark.parametrize("url", [*FEEDS, "/api/v1/comments"])
def test_it_is_sent_again_only_when_it_has_changed(visitor: Visitor, url: str) -> None:
    (comment_id,) = add(["Hello"])
    seen: list[str] = []

    same, other = (comment_form.read({"name": "Ada", "message": words}) for words in ("Hello", "Hello you"))
    steps: list[tuple[Any, Any]] = [
        (comment_actions.edit, same),
        (comment_actions.edit, other),
        (comment_actions.reply, "Welcome"),
    ]
    steps += [
        (comment_actions.reply, "Welcome!"),
        (comment_actions.reply, ""),
        (comment_actions.move, "trash"),
    ]
    for number, (do, words) in enumerate(steps):
        answer = visitor.get(url)
        etag = answer.headers["ETag"]
        assert etag.startswith('"')
        assert "Last-Modified" not in answer.headers
        for etags in (etag, f'"x", W/{etag}', "*"):
            again = visitor.get(url, headers={"If-None-Match": etags})
            assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
        assert visitor.open("HEAD", url).headers["ETag"] == etag
        assert all(visitor.get(url, headers={"If-None-Match": old}).status_code == 200 for old in seen[-1:])
        factories.change(comment_id, do, words)
        is_same = number == 0
        assert (visitor.get(url).headers["ETag"] == etag) == is_same
        seen += [] if is_same else [etag]


def test_other_sites_may_read_them(visitor: Visitor) -> None:
    add(["Hello"])
    for url in (*FEEDS, "/api/v1/comments"):
        headers = visitor.get(url).headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in headers["Access-Control-Expose-Headers"]
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert headers["Cache-Control"] == "no-cache"
        assert "Set-Cookie" not in headers


def test_the_pages_of_the_book_name_them_and_the_admin_pages_do_not(visitor: Visitor) -> None:
    (comment_id,) = add(["Hello"])
    for url in ("/", f"/comments/{comment_id}"):
        links = visitor.page(url).findall(".//head/link[@rel='alternate']")
        assert {link.attrib["type"]: link.attrib["href"] for link in links[:2]} == {
            "application/atom+xml": "https://book.example/feed.atom",
            "application/feed+json": "https://book.example/feed.json",
        }
    assert not visitor.page(visitor.get("/admin/login").location).findall(".//head/link[@rel='alternate']")
    page = visitor.page()
    assert attributes(page, ".//link[@rel='alternate']")["title"] == text(page.find(".//title"))


def test_a_comment_has_a_feed_of_its_own_with_the_owner_s_reply(visitor: Visitor) -> None:
    (comment_id,) = add(["Hello <b>"], website="https://ada.example")
    url = f"/comments/{comment_id}.atom"
    page = visitor.page(f"/comments/{comment_id}")
    feeds_of_page = [
        link.attrib["href"] for link in page.iter("link") if "atom" in link.attrib.get("type", "")
    ]
    assert feeds_of_page == [f"https://book.example{path}" for path in ("/feed.atom", url)]
    before = feedparser.parse(visitor.get(url).data)
    assert not before.bozo
    assert [entry.content[0].value for entry in before.entries] == ["<p>Hello &lt;b&gt;</p>"]
    factories.change(comment_id, comment_actions.reply, "Welcome\n& thanks")
    answer = visitor.get(url)
    after = feedparser.parse(answer.data)
    assert [entry.author for entry in after.entries] == ["Guestbook", "Ada"]
    assert after.entries[0].content[0].value == "<p>Welcome<br />&amp; thanks</p>"
    assert after.entries[1].id == before.entries[0].id != after.entries[0].id
    assert after.feed.id == before.feed.id
    assert after.feed.updated > before.feed.updated
    assert visitor.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    factories.change(comment_id, comment_actions.move, "held")
    assert visitor.get(url).status_code == visitor.get("/comments/x.atom").status_code == 404
