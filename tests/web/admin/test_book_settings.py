"""The settings of the book in the admin pages."""

from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from guestbook.storage import preferences
from guestbook.storage.database import db
from guestbook.storage.models import Setting
from guestbook.storage.preferences import Preferences
from tests.support.owner import Owner
from tests.support.visitor import Visitor, by_class, parse, text

URL = "/admin/book/"
UNTICKED = ("closed", "asks_place", "asks_note")  # in a new book
TYPED = {
    name: value
    for name, value in preferences.typed(Preferences()).items()
    if preferences.PREFERENCE_FIELDS[name].place.startswith("book/")
}
DEFAULTS = {name: value for name, value in TYPED.items() if name not in UNTICKED}


def kept(app: Flask) -> Preferences:
    with app.app_context():
        return preferences.read(db.session())


def chosen(page: Element) -> dict[str, str]:
    """What a browser would send of the settings."""
    boxes = [box for box in page.findall(".//main//input") if box.attrib.get("type") in ("radio", "checkbox")]
    ticked = {box.attrib["name"]: box.attrib["value"] for box in boxes if "checked" in box.attrib}
    lines = {
        field.attrib["name"]: field.attrib["value"] for field in page.findall(".//main//input[@type='text']")
    }
    areas = {area.attrib["name"]: (area.text or "").strip() for area in page.findall(".//main//textarea")}
    return lines | areas | ticked


def test_a_new_book_shows_what_holds(owner: Owner) -> None:
    assert chosen(owner.page(URL)) == DEFAULTS


def test_what_is_saved_is_said_shown_and_holds(app: Flask, owner: Owner) -> None:
    new = {
        "title": "Our island",
        "welcome": "Hello\nthere",
        "prompt": "Well?",
        "per_page": "7",
        "moderation": "all",
        "language": "fr",
        "visitor_languages": "yes",
        "timezone": "Europe/Berlin",
        "visitor_times": "yes",
        "theme": "dark",
        "rate": "3",
        "flood": "9",
        "words": "lantern\nboat",
        "question": "Which river?",
        "answers": "Neisse",
        "score": "yes",
        "mentions": "yes",
        "closed": "yes",
        "asks_place": "yes",
        "asks_note": "yes",
    }
    page = owner.does(URL, new, on=URL)
    assert "The settings are saved." in text(page)
    assert chosen(page) == new
    assert preferences.typed(kept(app)) == preferences.typed(Preferences()) | new
    assert page.attrib["data-theme"] == "dark"
    assert text(Visitor(app).page().find(".//h1")) == "Our island"


def test_a_box_that_is_not_ticked_opens_the_book_again(app: Flask, owner: Owner) -> None:
    owner.does(URL, DEFAULTS | {"closed": "yes"}, on=URL)
    assert kept(app).closed
    owner.does(URL, DEFAULTS, on=URL)
    assert not kept(app).closed


def test_what_is_wrong_comes_back_with_its_reason_and_all_that_was_typed(app: Flask, owner: Owner) -> None:
    wrong = {
        "title": " ",
        "welcome": "<b>" + "x" * 1000,
        "per_page": "200",
        "rate": "9",
        "moderation": "some",
    }
    answer = owner.post(URL, DEFAULTS | wrong | {"closed": "yes"}, on=URL)
    assert answer.status_code == 422
    page = parse(answer)
    links = [link.attrib["href"] for link in by_class(page, "summary")[0].iter("a")]
    assert links == ["#title", "#welcome", "#per_page", "#moderation"]
    for link in links:
        [field] = page.findall(f".//*[@id='{link[1:]}']")
        for name in field.attrib["aria-describedby"].split():
            assert page.find(f".//*[@id='{name}']") is not None
    assert "whole number from 1 to 100" in text(by_class(page, "reason")[2])
    typed = chosen(page)
    assert (typed["title"], typed["welcome"], typed["per_page"]) == ("", wrong["welcome"], "200")
    assert (typed["rate"], typed["closed"]) == ("9", "yes")
    assert kept(app) == Preferences()


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "localtime", "Berlin", "x" * 50_000, "<b>", "Europe/Berlin\x00/x"]
)
def test_a_zone_that_there_is_not_is_refused_and_comes_back(app: Flask, owner: Owner, zone: str) -> None:
    answer = owner.post(URL, DEFAULTS | {"timezone": zone, "title": "Other"}, on=URL)
    page = parse(answer)
    [reason] = by_class(page, "reason")
    assert (answer.status_code, reason.attrib["id"]) == (422, "timezone-reason")
    assert text(reason).startswith("There is no time zone")
    assert chosen(page)["timezone"] == zone.replace("\0", "")
    assert kept(app) == Preferences()


def test_no_zone_is_utc_and_the_zones_of_the_world_are_suggested(app: Flask, owner: Owner) -> None:
    owner.does(URL, DEFAULTS | {"timezone": "Europe/Berlin"}, on=URL)
    page = owner.does(URL, DEFAULTS | {"timezone": " "}, on=URL)
    assert kept(app).timezone == chosen(page)["timezone"] == "UTC"
    field = page.find(".//input[@id='timezone']")
    assert field is not None
    suggested = page.findall(f".//datalist[@id='{field.attrib['list']}']/option")
    assert {"UTC", "Europe/Berlin"} <= {text(option).strip() for option in suggested}


@pytest.mark.parametrize("form", [{}, {"title": "x" * 50_000}, {"per_page": "\x00"}, {"theme": ["a", "b"]}])
def test_bad_input_is_refused_in_words(app: Flask, owner: Owner, form: dict[str, object]) -> None:
    answer = owner.post(URL, form, on=URL)
    assert answer.status_code == 422
    assert by_class(parse(answer), "reason")
    assert kept(app) == Preferences()


def test_hostile_settings_are_only_text_on_the_admin_pages_too(owner: Owner) -> None:
    bad = '"><script>alert(1)</script>{{ 7*7 }}'
    page = owner.does(URL, DEFAULTS | {"title": bad, "welcome": "</textarea>" + bad, "prompt": bad}, on=URL)
    assert chosen(page)["title"] == bad
    assert chosen(page)["welcome"] == "</textarea>" + bad
    assert len(page.findall(".//script")) == 1  # our own


def test_every_choice_says_what_it_means(owner: Owner) -> None:
    labels = {text(label).strip() for label in by_class(owner.page(URL), "option")}
    assert len(labels) == 17
    assert any(label.startswith("Suspicious comments: what looks like advertising") for label in labels)


def test_two_first_clicks_at_once_are_no_fault(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.be_logged_in()
    form = {"csrf_token": owner.key(URL), **DEFAULTS}
    cookie = owner.client.get_cookie("guestbook_admin", path="/admin")
    assert cookie
    both, answers = Barrier(2, timeout=0.5), []

    def wait(session: Session, *_: Any) -> None:
        """Let both have seen that there are no rows yet, where the database lets two write at once."""
        if any(isinstance(row, Setting) for row in session.new):
            with suppress(BrokenBarrierError):
                both.wait()

    def click() -> None:
        browser = each_app.test_client()
        browser.set_cookie("guestbook_admin", cookie.value, path="/admin")
        answers.append(browser.post(URL, data=form).status_code)

    event.listen(Session, "before_flush", wait)
    threads = [Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event.remove(Session, "before_flush", wait)
    assert answers == [303, 303]
    assert kept(each_app) == Preferences()
