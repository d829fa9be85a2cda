"""The book as a reader sees it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings, strategies as st
from jinja2.utils import urlize
from markupsafe import escape

from guestbook.comments import comment_actions
from guestbook.storage.database import db
from guestbook.web import translation_and_template_filters
from tests.support import factories
from tests.support.amount import examples
from tests.support.owner import Owner
from tests.support.visitor import GREETING, Visitor, add, attributes, by_class, messages, set_, stored, text
from tests.web.conftest import Later

PARTS = ["https://", "http://", "www.", "mailto:", "ada@", "example", ".com", ".x.info", "[::1]", "1.2.3.4"]
PARTS += [" ", "\n", "(", ")", "<", ">", ".", ",", "&", "%", "/path?a=b#c", ":80", "\u2003", "'"]


def test_an_empty_book_invites_to_open_it(visitor: Visitor) -> None:
    page = visitor.page()
    assert "Nobody has signed" in text(by_class(page, "empty-list")[0])
    assert not page.findall(".//nav")


def test_the_newest_comment_comes_first(visitor: Visitor) -> None:
    add(["first", "second", "third"])
    assert messages(visitor.page()) == ["third", "second", "first"]


def test_a_drawing_is_one_on_every_page(owner: Owner, visitor: Visitor, tmp_path: Path) -> None:
    cat = "    /\\_/\\\n   ( o.o )\n    > ^ <"
    visitor.sign(message="\r\n" + cat.replace("    ", "\t").replace("\n", " \r\n") + "  \r\n\r\n")
    [comment_id] = [one.id for one in stored()]
    set_(embed_sites="https://one.example")
    factories.change(comment_id, comment_actions.reply, cat)
    paths = ("/", f"/comments/{comment_id}", "/embed?site=https://one.example")
    admin = ("/admin/comments/", f"/admin/comments/{comment_id}")
    for shown in (*map(visitor.page, paths), *map(owner.page, admin)):
        assert [text(one) for one in by_class(shown, "drawn")] == [cat, cat]
    feed = visitor.get("/feed.json").json
    assert feed["items"][0]["content_html"].count(f"<pre>{escape(cat)}</pre>") == 2
    assert feed["items"][0]["content_text"].startswith(cat)
    assert owner.app.test_cli_runner().invoke(args=["export-site", str(tmp_path / "site")]).exit_code == 0
    assert (tmp_path / "site" / "index.html").read_text().count(f'dir="auto">{escape(cat)}</p>') == 2


def test_the_links_lead_through_the_whole_book_and_back(visitor: Visitor) -> None:
    add(map(str, range(45)))
    url, seen = "/", []
    for length in (20, 20, 5):
        page = visitor.page(url)
        assert len(messages(page)) == length
        seen += messages(page)
        url = next((link.attrib["href"] for link in page.findall(".//nav/a[@rel='next']")), "")
    assert seen == [str(number) for number in reversed(range(45))]
    assert url == ""
    first = attributes(page, ".//nav/a[@rel='first']")
    assert messages(visitor.page(first["href"])) == seen[:20]


def test_an_older_page_leads_to_the_form_on_the_first(visitor: Visitor) -> None:
    page = visitor.page("/?before=" + add(["first", "second"])[-1])
    assert messages(page) == ["first"]
    assert not page.findall(".//main//form")
    assert [link.attrib["href"] for link in by_class(page, "button")] == ["/#sign"]


def test_a_place_that_is_none_is_not_found(visitor: Visitor) -> None:
    wrong = ["", "1", "x" * 32, "F" * 32, "0" * 33, "1" * 60_000, "%00" * 32, "%ED%A0%80", "%FF" * 32]
    for before in (*wrong, "%D9%A1" * 32, "0" * 32 + "%0A"):
        assert visitor.get(f"/?before={before}").status_code == 404, before
        assert visitor.get(f"/comments/{before or 'x'}").status_code == 404, before


def test_a_comment_has_a_page_of_its_own(visitor: Visitor) -> None:
    [comment_id] = add(["Hello\nthere"], name="Grace")
    page = visitor.page(f"/comments/{comment_id}")
    assert messages(page) == ["Hello\nthere"]
    assert text(page.find(".//h1")) == "Grace wrote"
    assert text(page.find(".//title")) == "Grace · Guestbook"


def test_absolute_links_come_from_the_setting_and_never_from_the_host_header(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    for url, address in (("/", "/"), (f"/comments/{comment_id}", f"/comments/{comment_id}")):
        html = visitor.get(url, headers={"Host": "evil.example"}).text
        assert f'<link rel="canonical" href="https://book.example{address}">' in html
        assert "evil.example" not in html


def test_a_comment_tells_its_time_for_people_and_for_programs(visitor: Visitor) -> None:
    add(["Hello"], created_at=datetime(2026, 3, 5, 23, 59, 59, 123000, UTC))
    time = visitor.page().find(".//time")
    assert text(time) == "5 March 2026"
    assert time.attrib["datetime"] == "2026-03-05T23:59:59.123Z"


@pytest.mark.parametrize("status", ["held", "spam", "trash"])
def test_what_is_not_published_is_nowhere_to_be_seen(visitor: Visitor, status: str) -> None:
    [hidden] = add(["you must not read this"], name="Mallory", status=status, reason="because")
    factories.change(hidden, comment_actions.reply, "A secret answer")
    add(["fine"])
    for url in ("/", f"/?signed={hidden}", f"/?before={'f' * 32}", f"/comments/{hidden}", "/healthz"):
        answer = visitor.get(url).text
        assert not [one for one in ("must not read", "Mallory", "because", "secret") if one in answer]
    assert visitor.get(f"/comments/{hidden}").status_code == 404


def test_a_reply_stands_under_its_comment_on_both_pages(visitor: Visitor) -> None:
    first, second = add(["One", "Two"])
    factories.change(first, comment_actions.reply, "Thank you.\nCome again!")
    for url in ("/", f"/?signed={first}", f"/comments/{first}"):
        [letter] = [one for one in by_class(visitor.page(url), "comment") if one.attrib["id"] == f"c-{first}"]
        assert messages(letter) == ["One"]
        [reply] = by_class(letter, "reply")
        assert text(reply).split("\n")[1].strip().startswith("The owner replied")
        assert text(by_class(reply, "comment-text")[0]) == "Thank you.\nCome again!"
        assert attributes(reply, ".//time")["datetime"].endswith("Z")
    assert by_class(visitor.page(f"/comments/{second}"), "comment-text") == []
    assert len(by_class(visitor.page(), "comment-text")) == 1


def test_each_comment_has_a_name_of_its_own(visitor: Visitor) -> None:
    when = datetime(2026, 3, 5, tzinfo=UTC)
    add(["one"], name='"><b>', created_at=when)
    add(["two"], name="Grace", created_at=when)
    names = [article.attrib["aria-label"] for article in visitor.page().findall(".//article")]
    assert names == ["Comment by Grace, 5 March 2026", 'Comment by "><b>, 5 March 2026']


def test_the_page_has_its_landmarks_and_a_way_past_them(visitor: Visitor) -> None:
    add(["one", "two"])
    page = visitor.page()
    skip = by_class(page, "skip")[0]
    assert page.find(f".//main[@id='{skip.attrib['href'].removeprefix('#')}']") is not None
    assert [len(page.findall(f".//{tag}")) for tag in ("h1", "main", "body/header", "ol")] == [1, 1, 1, 1]
    assert len(page.findall(".//ol/li/article")) == 2
    identities = [element.attrib["id"] for element in page.iter() if "id" in element.attrib]
    assert len(identities) == len(set(identities))


def test_every_field_has_a_label_and_every_reference_its_target(visitor: Visitor) -> None:
    page = visitor.page()
    labels = {label.attrib["for"]: text(label) for label in page.findall(".//label")}
    for field in page.findall(".//form//*[@name]"):
        if field.tag != "button" and field.attrib.get("type") != "hidden":
            assert labels[field.attrib["id"]]
        for name in field.attrib.get("aria-describedby", "").split():
            assert page.find(f".//*[@id='{name}']") is not None
    assert labels["name"] == "Name required"
    assert labels["website"] == "Website optional"


def test_browsers_may_fill_in_what_they_know_and_never_the_trap(visitor: Visitor) -> None:
    page = visitor.page()
    inputs = page.findall(".//form//input")
    known = {field.attrib["name"]: field.attrib.get("autocomplete") for field in inputs}
    assert known.items() >= {"name": "name", "website": "url", "subject": "off", "token": None}.items()
    trap = attributes(page, ".//input[@name='subject']")
    assert trap["tabindex"] == "-1"
    assert by_class(page, "offscreen")[0].attrib["aria-hidden"] == "true"


def test_reading_sets_no_cookie_and_changes_nothing(visitor: Visitor) -> None:
    set_(visitor_languages="no")  # its cookie would count
    [comment_id] = add(["Hello"])
    for url in (
        "/",
        f"/comments/{comment_id}",
        f"/?signed={comment_id}",
        "/?signed=waiting",
        "/nowhere",
        "/admins",
    ):
        for response in (visitor.get(url), visitor.client.head(url)):
            assert "Set-Cookie" not in response.headers
            assert "Cookie" not in response.headers.get("Vary", "")
    assert len(stored()) == 1


# --- asked for again


def know(visitor: Visitor, url: str = "/") -> str:
    return visitor.get(url).headers["ETag"]


def revalidate(visitor: Visitor, etag: str, url: str = "/") -> int:
    answer = visitor.get(url, headers={"If-None-Match": etag})
    assert answer.status_code == 200 or answer.data == b""
    assert answer.headers["Cache-Control"] == "no-cache"
    return answer.status_code


@pytest.mark.parametrize("url", ["/", "/?signed=waiting", f"/?before={'f' * 32}"])
def test_a_page_that_did_not_change_is_not_sent_again(visitor: Visitor, url: str) -> None:
    add(["Hello"])
    etag = know(visitor, url)
    assert etag.startswith('W/"')  # each has a form with a token of its own
    assert revalidate(visitor, etag, url) == 304
    head = visitor.client.head(url)
    assert (head.status_code, head.headers["ETag"], head.data) == (200, etag, b"")


def test_a_form_that_the_browser_kept_can_be_sent_for_hours(visitor: Visitor, later: Later) -> None:
    etag, form = know(visitor), visitor.form()
    kept = 0
    while revalidate(visitor, etag) == 304:
        later(600)
        kept += 600
    assert kept <= 6 * 3600
    later(24 * 3600 - kept - 60)
    assert visitor.send(form | GREETING).status_code == 303


def test_the_page_is_read_in_two_queries(app: Flask, visitor: Visitor) -> None:
    ids = add(map(str, range(20)))
    for comment_id in ids:
        factories.change(comment_id, comment_actions.reply, "Thank you")
    with app.app_context(), closing(db.engine.raw_connection()) as connection:
        raw = connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    visitor.page()  # the first request also asks for the version of the tables
    asked: list[str] = []
    raw.set_trace_callback(asked.append)
    assert len(messages(visitor.page())) == 20
    assert [sql for sql in asked if sql.startswith("SELECT")] == [], "nothing has changed"
    add(["The newest"])
    asked.clear()
    assert len(messages(visitor.page())) == 20
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 2


# --- links


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=5)).map("".join))
@settings(max_examples=examples(40), deadline=None)
def test_the_same_words_become_links_as_if_all_were_looked_at(words: str) -> None:
    assert translation_and_template_filters.prose(words) == urlize(
        words, rel=translation_and_template_filters.LINK_REL
    )


def test_below_a_path_each_comment_links_below_it(app: Flask) -> None:
    (comment_id,) = add(["Hello"])
    client = app.test_client()
    assert f'href="/comments/{comment_id}"' in client.get("/").get_data(as_text=True)
    below = client.get("/", environ_overrides={"SCRIPT_NAME": "/book"}).get_data(as_text=True)
    assert f'href="/book/comments/{comment_id}"' in below


def numbers(visitor: Visitor, url: str) -> list[str]:
    return [text(found) for found in by_class(visitor.page(url), "number")]


def test_each_comment_shows_its_number_in_the_book_and_on_its_own_page(visitor: Visitor) -> None:
    visitor.sign(message="Here first")
    visitor.sign(message="Here too")
    [url] = [link.attrib["href"] for link in by_class(visitor.page(), "date")][1:]
    assert numbers(visitor, "/") == ["no. 2", "no. 1"]
    assert numbers(visitor, url) == ["no. 1"]
