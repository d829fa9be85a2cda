"""The look is the owner's, or the visitor's own where the owner allows that; no page has a style in it."""

import re
from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage.preferences import LOOKS
from guestbook.web import look_language_time_zone
from tests.support.owner import Owner
from tests.support.visitor import Visitor, add, by_class, hrefs, parse, set_

STATIC = Path(look_language_time_zone.__file__).parents[1] / "static"
CSS = "body { color: #123 }"


def look(visitor: Visitor, url: str = "/") -> str:
    return parse(visitor.get(url)).attrib["data-look"]


def stylesheets(visitor: Visitor, url: str = "/") -> list[str]:
    page = parse(visitor.get(url))
    links = [link.attrib for link in page.iter("link") if link.attrib["rel"] == "stylesheet"]
    return [re.sub(r"\?.*", "", link["href"]).removeprefix("/static/") for link in links]


def choose(visitor: Visitor, name: str, before: str = "http://localhost/") -> str:
    answer = visitor.open("POST", "/look", data={"look": name}, headers={"Referer": before})
    assert answer.status_code == 303
    return answer.headers["Location"]


@pytest.mark.parametrize("name", LOOKS)
def test_public_pages_alone_have_the_owner_s_look(owner: Owner, visitor: Visitor, name: str) -> None:
    set_(look=name, own_css=CSS, embed_sites="https://one.example")
    [comment_id] = add(["Hello"])
    of_look = [] if name == "paper" else [f"look-{name}.css"]
    for url in ("/", f"/comments/{comment_id}", "/nowhere", "/embed"):
        assert look(visitor, url) == name
        assert stylesheets(visitor, url) == ["book.css", *of_look, "/own.css"]
    assert parse(visitor.sign(name="")).attrib["data-look"] == name
    for url in ("/admin/login", "/admin/nowhere"):
        assert look(visitor, url) == "paper"
        assert "/own.css" not in stylesheets(visitor, url)
    assert look(owner, "/admin/look/") == "paper"


def test_no_stylesheet_needs_anything_from_elsewhere_and_motion_is_for_those_who_want_it() -> None:
    files = sorted(STATIC.glob("*.css"))
    assert {f"look-{name}.css" for name in LOOKS if name != "paper"} < {path.name for path in files}
    for path in files:
        links = re.findall(r'url\("([\w.-]+)"\)', path.read_text())
        assert all((STATIC / name).is_file() for name in links)
        css = re.sub(r"(?s)/\*.*?\*/", "", path.read_text())
        assert re.findall(r"url\(|@import|@font-face|https?:", css) == ["url("] * len(links)
        calm = re.sub(r"(?s)@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", css)
        assert "animation" not in calm
        assert "infinite" not in css


# --- the visitor's choice


def test_visitors_choose_only_where_the_owner_lets_them(visitor: Visitor) -> None:
    set_(visitor_languages="no")  # its cookie would count
    assert by_class(visitor.page(), "look-form") == []
    assert visitor.open("POST", "/look", data={"look": "1999"}).status_code == 404
    visitor.client.set_cookie("guestbook_look", "1999")
    answer = visitor.get("/")
    assert parse(answer).attrib["data-look"] == "paper"
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_the_choice_holds_everywhere_until_the_owner_s_is_chosen(app: Flask, visitor: Visitor) -> None:
    set_(visitor_looks="yes", look="plain", embed_sites="https://one.example", visitor_languages="no")
    assert "Cookie" in visitor.get("/").headers["Vary"]  # Caches keep the looks apart.
    [form] = by_class(visitor.page(), "look-form")
    assert (form.attrib["method"], form.attrib["action"]) == ("post", "/look")
    buttons = form.findall("button")
    assert (
        [button.attrib["value"] for button in buttons]
        == list(LOOKS)
        == list(look_language_time_zone.LOOK_NAMES)
    )
    assert [button.attrib["value"] for button in buttons if "aria-current" in button.attrib] == ["plain"]
    [comment_id] = add(["Hello"])
    here = f"/comments/{comment_id}"
    assert choose(visitor, "terminal", f"http://localhost{here}?x=1") == here
    for url in ("/", here, "/nowhere"):
        assert look(visitor, url) == "terminal"
    assert look(visitor, "/embed") == "plain"
    assert look(Visitor(app)) == "plain"
    choose(visitor, "plain")
    assert visitor.client.get_cookie("guestbook_look") is None
    set_(look="window")
    assert look(visitor) == "window"


def test_a_look_that_is_none_is_refused_or_ignored(visitor: Visitor) -> None:
    set_(visitor_looks="yes")
    for data in ({}, {"look": "pink"}, {"look": "../1999"}):
        assert visitor.open("POST", "/look", data=data).status_code == 422
    visitor.client.set_cookie("guestbook_look", "../pink")
    assert look(visitor) == "paper"


def test_the_answer_leads_into_the_book_wherever_the_visitor_comes_from(visitor: Visitor) -> None:
    set_(visitor_looks="yes")
    assert choose(visitor, "1999", "") == choose(visitor, "1999", "http://[") == "/"
    assert choose(visitor, "1999", "https://evil.example/") == "/"
    for path in ("//evil.example/", "/\\evil.example", "/comments", "/admin/", "/look"):
        assert choose(visitor, "1999", f"http://localhost{path}") == "/"


# --- own CSS, button, webring, Open Graph


def test_own_css_is_a_file_that_changes_its_address_with_its_text(visitor: Visitor) -> None:
    assert visitor.get("/own.css").status_code == 404
    set_(own_css=CSS)
    links = [link.attrib["href"] for link in visitor.page().iter("link") if "own.css" in link.attrib["href"]]
    assert len(links) == 1
    answer = visitor.get(links[0])
    assert (answer.text, answer.content_type) == (CSS, "text/css; charset=utf-8")
    assert "immutable" in answer.headers["Cache-Control"]
    assert visitor.get(links[0], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    set_(own_css=CSS + "x")
    assert visitor.get(links[0]).headers["Cache-Control"] == "no-cache"  # an old page asks for what is new
    assert links[0] not in visitor.get("/").text
    assert visitor.get("/own.css").text == CSS + "x"


def test_other_sites_may_show_the_button(visitor: Visitor) -> None:
    answer = visitor.get("/button.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert 'width="88" height="31"' in answer.text
    assert len(answer.data) < 4000


def test_the_webring_has_the_links_that_there_are(visitor: Visitor) -> None:
    assert by_class(visitor.page(), "webring") == []
    set_(webring_previous="https://a.example/x?y=1", webring_next="https://b.example")
    [ring] = by_class(visitor.page(), "webring")
    assert hrefs(ring) == ["https://a.example/x?y=1", "https://b.example"]


def test_open_graph_says_what_the_page_is_and_needs_no_picture(visitor: Visitor) -> None:
    set_(title="Our <island>", welcome="Come in.")
    [comment_id] = add(["x" * 300])

    def said(url: str) -> dict[str, str]:
        tags = [tag.attrib for tag in visitor.page(url).iter("meta") if "property" in tag.attrib]
        return {tag["property"].removeprefix("og:"): tag["content"] for tag in tags}

    front, comment = said("/"), said(f"/comments/{comment_id}")
    book = {"type": "website", "site_name": "Our <island>", "title": "Our <island>"}
    assert front == book | {"url": "https://book.example/", "description": "Come in."}
    assert (comment["title"], comment["url"]) == ("Ada", f"https://book.example/comments/{comment_id}")
    assert len(comment["description"]) <= 200
    assert said("/?before=" + "f" * 32) == {}
