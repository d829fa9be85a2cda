"""The pages of the book's settings: texts and moderation, the look, the websites that may show the book."""

import re
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree.ElementTree import Element

import html5lib
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from guestbook.storage import preferences
from guestbook.storage.models import Setting
from guestbook.storage.preferences import LOOKS, OWN_CSS_LIMIT, PREFERENCE_FIELDS, Preferences
from tests.support import factories
from tests.support.at_once import at_once
from tests.support.owner import Owner
from tests.support.visitor import by_class, hrefs, parse, set_, text

BOOK, LOOK, EMBED = "/admin/book/", "/admin/look/", "/admin/embed/"
UNTICKED = ("closed", "asks_place", "asks_note", "reply_mails")  # in a new book
DEFAULTS = {
    name: value
    for name, value in preferences.typed(Preferences()).items()
    if PREFERENCE_FIELDS[name].place.startswith("book/") and name not in UNTICKED
}
NEW_BOOK = {
    **{"title": "Our island", "welcome": "Hello\nthere", "prompt": "Well?", "per_page": "7"},
    **{"moderation": "all", "language": "fr", "visitor_languages": "yes", "timezone": "Europe/Berlin"},
    **{"visitor_times": "yes", "theme": "dark", "rate": "3", "flood": "9", "words": "lantern\nboat"},
    **{"question": "Which river?", "answers": "Neisse", "score": "yes", "mentions": "yes", "closed": "yes"},
    **{"asks_place": "yes", "asks_note": "yes", "reply_mails": "yes", "contact": "ada@book.example"},
    "moods": "happy\ntired",
}
NEW_LOOK = {
    **{"look": "1999", "visitor_looks": "yes", "pictures": "glyphs", "glyphs": "🐚 👩‍🚀 ⭐"},
    **{"webring_previous": "https://a.example/?x=1&y=2", "webring_home": ""},
    **{"webring_next": "http://b.example", "smileys": "yes", "background": "waves"},
    **{"badges": "My cat https://a.example/cat\nNo cookies"},
    "own_css": "body {\n  color: red\n}",
}
SITES = {"embed_sites": "https://one.example"}
HOSTILE = '"><script>alert(1)</script>{{ 7*7 }}'


def kept() -> Preferences:
    return factories.read(preferences.read)


def chosen(page: Element) -> dict[str, str]:
    """What a browser would send of the settings."""
    boxes = [box for box in page.findall(".//main//input") if box.attrib.get("type") in ("radio", "checkbox")]
    ticked = {box.attrib["name"]: box.attrib["value"] for box in boxes if "checked" in box.attrib}
    languages = page.findall(".//main//select[@name='language']/option[@selected]")
    ticked |= dict(zip(["language"], (option.attrib["value"] for option in languages), strict=False))
    lines = {one.attrib["name"]: one.attrib["value"] for one in page.findall(".//main//input[@type='text']")}
    areas = {area.attrib["name"]: (area.text or "").strip() for area in page.findall(".//main//textarea")}
    return lines | areas | ticked


@pytest.mark.parametrize(
    ("url", "new", "said"),
    [
        (BOOK, NEW_BOOK, "The settings are saved."),
        (LOOK, NEW_LOOK, "The look is saved."),
        (EMBED, SITES, "The websites are saved."),
    ],
)
def test_a_page_saves_its_settings(owner: Owner, url: str, new: dict[str, str], said: str) -> None:
    assert url in hrefs(owner.page(BOOK))
    assert chosen(owner.page(BOOK)) == DEFAULTS, "a new book shows what holds"
    page = owner.does(url, new, on=url)
    assert said in text(page)
    assert chosen(page) == new
    assert preferences.typed(kept()) == preferences.typed(Preferences()) | new
    other = LOOK if url == BOOK else BOOK
    owner.does(other, chosen(owner.page(other)), on=other)
    assert preferences.typed(kept()) == preferences.typed(Preferences()) | new


@pytest.mark.parametrize(
    ("url", "typed", "box"), [(BOOK, DEFAULTS, "closed"), (LOOK, NEW_LOOK, "visitor_looks")]
)
def test_an_unticked_box_is_off(owner: Owner, url: str, typed: dict[str, str], box: str) -> None:
    owner.does(url, typed | {box: "yes"}, on=url)
    assert getattr(kept(), box)
    owner.does(url, {name: value for name, value in typed.items() if name != box}, on=url)
    assert not getattr(kept(), box)


def test_what_is_wrong_comes_back(owner: Owner) -> None:
    wrong = {"title": " ", "welcome": "<b>" + "x" * 1000, "per_page": "200", "moderation": "some"}
    wrong |= {"rate": "9"}
    page = owner.refused(BOOK, DEFAULTS | wrong | {"closed": "yes"}, on=BOOK)
    links = hrefs(by_class(page, "summary")[0])
    assert links == ["#title", "#welcome", "#per_page", "#moderation"]
    for link in links:
        [field] = page.findall(f".//*[@id='{link[1:]}']")
        for name in field.attrib["aria-describedby"].split():
            assert page.find(f".//*[@id='{name}']") is not None
    assert "whole number from 1 to 100" in text(by_class(page, "reason")[2])
    typed = chosen(page)
    assert (typed["title"], typed["welcome"], typed["per_page"]) == ("", wrong["welcome"], "200")
    assert (typed["rate"], typed["closed"]) == ("9", "yes")
    assert kept() == Preferences()


NO_ZONE = "There is no time zone"
NO_SITE = "is not the address of a website"


@pytest.mark.parametrize(
    ("url", "field", "wrong", "sentence"),
    [
        *((BOOK, "timezone", zone, NO_ZONE) for zone in ("../../etc/passwd", "Berlin", "<b>", "x" * 50_000)),
        (BOOK, "contact", "ada", "give an e-mail address, or a page such as"),
        (BOOK, "contact", "https://book.example/" + "x" * 500, "give an e-mail address, or a page such as"),
        (BOOK, "moods", "happy\n" + "x" * 41, "xxx…” has 41 characters. Please use at most 40."),
        (BOOK, "moods", "\n".join(map(str, range(31))), "These are 31 lines. Please use at most 30."),
        (LOOK, "look", "pink", "Please choose one of these."),
        (LOOK, "pictures", "photo", "Please choose one of these."),
        (LOOK, "glyphs", "", "at least one character"),
        (LOOK, "glyphs", "⭐ " * 51, "These are 51 characters. Please use at most 50."),
        (LOOK, "glyphs", "⭐ 🐚🌊", "“🐚🌊” is not one character."),
        (LOOK, "background", "lava", "Please choose one of these."),
        (LOOK, "badges", "x" * 25, "has 25 characters. Please use at most 24."),
        (LOOK, "badges", "https://a.example", "Please write a text, then one link behind it: https://a.example"),
        (LOOK, "badges", "https://a.example Cat", "one link behind it: https://a.example Cat"),
        (LOOK, "badges", "My cat javascript://alert(1)", NO_SITE),
        (LOOK, "badges", "\n".join(map(str, range(21))), "These are 21 lines. Please use at most 20."),
        (LOOK, "webring_home", "javascript:alert(1)", NO_SITE),
        (LOOK, "webring_next", "https://b.example/" + "x" * 500, "at most 500"),
        (LOOK, "own_css", "é" * (OWN_CSS_LIMIT // 2 + 1), "has 10,002 bytes. Please use at most 10,000."),
        *((EMBED, "embed_sites", site, NO_SITE) for site in ("one", "*.a.example", "x" * 5000)),
        (EMBED, "embed_sites", "https://one.example 'self'", f"“https://one.example 'self'” {NO_SITE}"),
        (EMBED, "embed_sites", " ".join(f"https://{number}.example" for number in range(21)), "at most 20"),
    ],
)  # fmt: skip
def test_a_wrong_value_comes_back(owner: Owner, url: str, field: str, wrong: str, sentence: str) -> None:
    typed = {BOOK: DEFAULTS, LOOK: NEW_LOOK, EMBED: {}}[url]
    page = owner.refused(url, typed | {field: wrong}, on=url)
    [reason] = by_class(page, "reason")
    assert (sentence in text(reason), reason.attrib["id"]) == (True, f"{field}-reason")
    assert hrefs(by_class(page, "summary")[0]) == [f"#{field}"]
    assert field in ("look", "pictures", "background") or chosen(page)[field] == wrong.strip()
    assert kept() == Preferences()


def test_no_zone_is_utc_and_the_zones_of_the_world_are_suggested(owner: Owner) -> None:
    owner.does(BOOK, DEFAULTS | {"timezone": "Europe/Berlin"}, on=BOOK)
    page = owner.does(BOOK, DEFAULTS | {"timezone": " "}, on=BOOK)
    assert kept().timezone == chosen(page)["timezone"] == "UTC"
    field = page.find(".//input[@id='timezone']")
    suggested = page.findall(f".//datalist[@id='{field.attrib['list']}']/option")
    assert {"UTC", "Europe/Berlin"} <= {text(option).strip() for option in suggested}


def test_hostile_settings_are_only_text_on_the_admin_pages_too(owner: Owner) -> None:
    hostile = {"title": HOSTILE, "welcome": "</textarea>" + HOSTILE, "prompt": HOSTILE}
    page = owner.does(BOOK, DEFAULTS | hostile, on=BOOK)
    assert (chosen(page)["title"], chosen(page)["welcome"]) == (HOSTILE, "</textarea>" + HOSTILE)
    assert len(page.findall(".//script")) == 1  # our own
    owner.does(LOOK, NEW_LOOK | {"own_css": "a {}\r\n\x00\x1b\u202eb {}</textarea><script>"}, on=LOOK)
    page = owner.page(LOOK)
    assert chosen(page)["own_css"] == kept().own_css == "a {}\nb {}</textarea><script>"
    assert len(page.findall(".//script")) == 1


def test_a_stylesheet_of_full_length_can_be_undone(each_owner: Owner) -> None:
    owner = each_owner
    long = {"own_css": '"\\' * (OWN_CSS_LIMIT // 2)}
    owner.does(LOOK, NEW_LOOK | long, on=LOOK)
    page = owner.does(LOOK, NEW_LOOK | {"own_css": "é" * (OWN_CSS_LIMIT // 2)}, on=LOOK)
    [change] = [field.attrib["value"] for field in page.findall(".//input[@name='change']")]
    owner.does("/admin/undo/", {"change": change}, on=LOOK)
    assert kept().own_css == long["own_css"]


def test_two_first_clicks_at_once_are_no_fault(each_app: Flask, each_owner: Owner) -> None:
    form = {"csrf_token": each_owner.key(BOOK), **DEFAULTS}
    cookie = each_owner.client.get_cookie("guestbook_admin", path="/")
    assert cookie
    both = Barrier(2, timeout=0.5)

    def wait(session: Session, *_: Any) -> None:
        """Let both have seen that there are no rows yet, where the database lets two write at once."""
        if any(isinstance(row, Setting) for row in session.new):
            with suppress(BrokenBarrierError):
                both.wait()

    def click(_: int) -> int:
        browser = each_app.test_client()
        browser.set_cookie("guestbook_admin", cookie.value, path="/")
        return browser.post(BOOK, data=form).status_code

    event.listen(Session, "before_flush", wait)
    assert at_once(each_app, 2, click) == [303, 303]
    event.remove(Session, "before_flush", wait)
    assert kept() == Preferences()


# --- the code for other sites


FRAME = f"{EMBED}?host=frame"


def code(owner: Owner, url: str = EMBED) -> list[str]:
    return [text(element) for element in owner.page(url).findall(".//pre")]


def test_the_page_gives_the_code_that_works_where_the_website_is(owner: Owner) -> None:
    assert "Name your website above first" in text(owner.page(EMBED))
    owner.does(EMBED, {"embed_sites": " https://One.example/page \n\none.example/about.html"}, on=EMBED)
    assert kept().embed_sites == "https://one.example"
    assert "Name your website above first" not in text(owner.page(EMBED))
    link = '<a href="https://book.example/">Guestbook</a>'
    frame = 'src="https://book.example/embed" title="Guestbook" width="100%" height="1450" frameborder="0"'
    assert code(owner) == [f'{link}\n<script src="https://book.example/embed.js" async></script>']
    assert code(owner, FRAME) == [f"<p>{link}</p>\n<iframe {frame}></iframe>"]
    assert code(owner, f"{EMBED}?host=link") == [link]
    assert code(owner, f"{EMBED}?host=x") == code(owner)
    owner.does(BOOK, DEFAULTS | {"language": "de"}, on=BOOK)
    assert 'title="Gästebuch"' in code(owner, FRAME)[0]
    assert "The book on other websites" in text(owner.page(EMBED))


ASKING = f"{EMBED}?site=https%3A%2F%2Fnew.example"


def test_a_link_from_a_frame_names_the_website_and_the_owner_s_button_alone_allows_it(
    app: Flask, owner: Owner
) -> None:
    set_(**SITES)
    page = owner.page(ASKING)
    assert "Allow https://new.example?" in text(page)
    assert kept().embed_sites == "https://one.example", "nothing is allowed by a link"
    [form] = [one for one in page.iter("form") if one.attrib["action"].endswith("/allow")]
    assert text(form).strip() == "Allow https://new.example"
    sent = {field.attrib["name"]: field.attrib["value"] for field in form.findall(".//input")}
    assert owner.open("POST", form.attrib["action"], data={"site": sent["site"]}).status_code == 400
    stranger = app.test_client()
    assert stranger.post(form.attrib["action"], data=sent).status_code == 403
    login = parse_qs(urlsplit(stranger.get(ASKING).location).query)
    assert login["next"] == [ASKING], "after the login it asks the same"
    assert owner.get(form.attrib["action"]).status_code == 405
    assert kept().embed_sites == "https://one.example"
    done = owner.does(form.attrib["action"], sent)
    assert "https://new.example may show the book." in text(done)
    assert kept().embed_sites == "https://one.example\nhttps://new.example"
    assert "Allow https://new.example?" not in text(owner.page(ASKING)), "it is allowed"
    [change] = [one.attrib["value"] for one in done.iter("input") if one.get("name") == "change"]
    owner.does("/admin/undo/", {"change": change})
    assert kept().embed_sites == "https://one.example"


@pytest.mark.parametrize(
    "site", ["", "x", "javascript:alert(1)", "https://*.example", "https://a.example 'self'"]
)
def test_a_link_that_names_no_website_asks_nothing_and_allows_nothing(owner: Owner, site: str) -> None:
    assert owner.page(f"{EMBED}?site={quote(site)}").find(".//*[@id='asking']") is None
    answer = owner.post(f"{EMBED}allow", {"site": site})
    assert answer.status_code == 422
    assert "is not the address of a website" in text(parse(answer))
    assert kept().embed_sites == ""


def test_the_code_names_the_height_for_the_look_and_for_what_the_form_asks(owner: Owner) -> None:
    heights = {}
    for look in LOOKS:
        set_(look=look)
        [heights[look]] = re.findall('height="([0-9]+)"', code(owner, FRAME)[0])
    assert len(set(heights.values())) > 1
    set_(moods="happy", asks_place="yes")
    assert f'height="{int(heights[look]) + 250}"' in code(owner, FRAME)[0]


def test_the_code_is_safe_to_paste_whatever_the_title(owner: Owner) -> None:
    title = '"><b onclick="x">&amp;'
    set_(**{"title": title, **SITES})
    _, element = html5lib.parseFragment(code(owner, FRAME)[0], namespaceHTMLElements=False)
    assert element.attrib["title"] == title
    link, script = html5lib.parseFragment(code(owner)[0], namespaceHTMLElements=False)
    assert (link.tag, text(link), script.tag) == ("a", title, "script")


def test_the_code_of_the_button_links_to_the_book(owner: Owner) -> None:
    [button] = code(owner, LOOK)
    [link] = html5lib.parseFragment(button, namespaceHTMLElements=False)
    assert link.attrib["href"] == "https://book.example/"
    sizes = {"width": "88", "height": "31"}
    assert link[0].attrib == {"src": "https://book.example/button.svg", "alt": "Sign my guestbook", **sizes}
