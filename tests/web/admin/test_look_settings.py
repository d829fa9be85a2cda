"""The owner chooses the look, a webring and a stylesheet, and copies the code of the button."""

import html5lib
import pytest
from flask import Flask

from guestbook.storage import preferences
from guestbook.storage.database import db
from guestbook.storage.preferences import LOOKS, OWN_CSS_LIMIT, Preferences
from tests.support.owner import Owner
from tests.support.visitor import Visitor, by_class, fields, parse, text

URL = "/admin/look/"
GOOD = {
    "look": "1999",
    "visitor_looks": "yes",
    "pictures": "glyphs",
    "glyphs": "🐚 👩‍🚀 ⭐",
    "webring_previous": "https://a.example/?x=1&y=2",
    "webring_home": "",
    "webring_next": "http://b.example",
    "own_css": "body {\n  color: red\n}",
}


def kept(app: Flask) -> Preferences:
    with app.app_context():
        return preferences.read(db.session())


def test_what_is_saved_holds_and_is_shown_again(app: Flask, owner: Owner) -> None:
    assert URL in [link.attrib["href"] for link in owner.page("/admin/book/").iter("a")]
    page = owner.does(URL, GOOD, on=URL)
    assert "The look is saved." in text(page)
    assert {name: value for name, value in preferences.typed(kept(app)).items() if name in GOOD} == GOOD
    shown = fields(page)
    typed = {name: value for name, value in GOOD.items() if name not in ("look", "visitor_looks", "pictures")}
    assert {name: shown[name].strip() for name in typed} == typed
    ticked = [box.attrib["value"] for box in page.findall(".//main//input") if "checked" in box.attrib]
    assert ticked == ["1999", "yes", "glyphs"]
    assert parse(Visitor(app).get("/")).attrib["data-look"] == "1999"


def test_every_look_can_be_chosen(owner: Owner) -> None:
    boxes = owner.page(URL).findall(".//input[@name='look']")
    assert [box.attrib["value"] for box in boxes] == list(LOOKS)


def test_the_characters_stay_while_pictures_are_drawn(app: Flask, owner: Owner) -> None:
    owner.does(URL, GOOD | {"pictures": "drawn"}, on=URL)
    assert (kept(app).pictures, kept(app).glyphs) == ("drawn", GOOD["glyphs"])
    owner.does(URL, GOOD | {"pictures": "drawn", "glyphs": ""}, on=URL)
    assert kept(app).glyphs == ""


def test_a_box_that_is_not_ticked_ends_the_choice(app: Flask, owner: Owner) -> None:
    owner.does(URL, GOOD, on=URL)
    owner.does(URL, {name: value for name, value in GOOD.items() if name != "visitor_looks"}, on=URL)
    assert not kept(app).visitor_looks


@pytest.mark.parametrize(
    ("field", "wrong", "sentence"),
    [
        ("look", "pink", "choose one of paper, plain, terminal, window, 1999"),
        ("look", "", "choose one of"),
        ("pictures", "photo", "choose one of none, drawn, glyphs"),
        ("glyphs", "", "at least one character"),
        ("glyphs", "\x00 \u202e", "at least one character"),
        ("glyphs", "⭐ " * 51, "These are 51 characters. Please use at most 50."),
        ("glyphs", "⭐ 🐚🌊", "“🐚🌊” is not one character."),
        ("glyphs", "x" * 40_000, "is not one character."),
        ("webring_home", "javascript:alert(1)", "is not the address of a website"),
        ("webring_home", "ring.example", "is not the address of a website"),
        ("webring_next", "https://b.example/a b", "as %20"),
        ("webring_next", "https://b.example/" + "x" * 500, "at most 500"),
        ("own_css", "é" * (OWN_CSS_LIMIT // 2 + 1), "has 10,002 bytes. Please use at most 10,000."),
    ],
)
def test_what_is_wrong_comes_back_with_its_reason(
    app: Flask, owner: Owner, field: str, wrong: str, sentence: str
) -> None:
    answer = owner.post(URL, GOOD | {field: wrong}, on=URL)
    assert answer.status_code == 422
    page = parse(answer)
    assert sentence in text(by_class(page, "reason")[0])
    assert [link.attrib["href"] for link in by_class(page, "summary")[0].iter("a")] == [f"#{field}"]
    assert kept(app) == Preferences()


def test_css_is_text_and_nothing_else(app: Flask, owner: Owner) -> None:
    owner.does(URL, GOOD | {"own_css": "a {}\r\n\x00\x1b\u202eb {}</textarea><script>"}, on=URL)
    assert kept(app).own_css == "a {}\nb {}</textarea><script>"
    page = owner.page(URL)
    assert fields(page)["own_css"].strip() == "a {}\nb {}</textarea><script>"
    assert len(page.findall(".//script")) == 1  # our own


def test_a_stylesheet_of_full_length_can_be_undone(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.be_logged_in()
    long = {"own_css": '"\\' * (OWN_CSS_LIMIT // 2)}
    owner.does(URL, GOOD | long, on=URL)
    page = owner.does(URL, GOOD | {"own_css": "é" * (OWN_CSS_LIMIT // 2)}, on=URL)
    [change] = [field.attrib["value"] for field in page.findall(".//input[@name='change']")]
    owner.does("/admin/undo/", {"change": change}, on=URL)
    assert kept(each_app).own_css == long["own_css"]


def test_the_other_settings_leave_the_look_alone(app: Flask, owner: Owner) -> None:
    owner.does(URL, GOOD, on=URL)
    owner.does(
        "/admin/book/", fields(owner.page("/admin/book/")) | {"moderation": "all", "theme": "dark"}, on=URL
    )
    assert (kept(app).look, kept(app).theme) == ("1999", "dark")


def test_the_code_of_the_button_links_to_the_book(owner: Owner) -> None:
    [code] = owner.page(URL).findall(".//pre")
    [link] = html5lib.parseFragment(text(code), namespaceHTMLElements=False)
    assert link.attrib["href"] == "https://book.example/"
    assert link[0].attrib == {
        "src": "https://book.example/button.svg",
        "alt": "Sign my guestbook",
        "width": "88",
        "height": "31",
    }
