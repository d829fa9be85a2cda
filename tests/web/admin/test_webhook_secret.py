"""A webhook's secret: shown once when it is made, later to who says the password, and nowhere else."""

import re

import pytest
from flask import Flask

from guestbook.lib import clock
from tests.support import factories
from tests.support.owner import PASSWORD, Owner
from tests.support.visitor import attributes, parse, text
from tests.support.webhook_pages import PLACE, URL, form, part, stored, value
from tests.web.conftest import Later


def add(owner: Owner) -> tuple[str, str]:
    """Add a webhook; return its id and the page that shows its secret."""
    place = owner.post(PLACE, form(owner, url=URL)).headers["Location"]
    return place.partition("?")[0].rpartition("/")[2], place


def rotate(owner: Owner, row_id: str, hours: str = "24") -> str:
    """Make a new secret; return the page that shows it."""
    sent = {"hours": hours, "replaces": value(owner.page(PLACE + row_id), "replaces")}
    answer = owner.post(f"{PLACE}{row_id}/rotate", sent)
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def shows(owner: Owner, place: str, secret: str) -> bool:
    """Whether the secret stands on the page, where it must stand in its own place."""
    page = owner.page(place)
    found = page.find(".//*[@id='shown-secret']")
    assert (secret in text(page)) == (found is not None and text(found) == secret)
    return found is not None


def test_it_is_shown_once_it_is_made_by_an_address_that_does_not_hold_it(owner: Owner) -> None:
    row_id, place = add(owner)
    secret = stored(row_id).secret
    assert shows(owner, place, secret)
    assert secret.removeprefix("whsec_") not in place
    page = owner.page(place)
    assert "Later you need your password to see it." in text(page)
    [button] = [one for one in page.iter("button") if one.attrib.get("data-copy") == "shown-secret"]
    assert "hidden" in button.attrib, "without a script it could not copy"
    assert not shows(owner, PLACE + row_id, secret)


def test_the_address_opens_no_other_secret_and_nothing_for_another_login(app: Flask, owner: Owner) -> None:
    (one, place), (other, _) = add(owner), add(owner)
    assert not shows(owner, place.replace(one, other), stored(other).secret)
    newer = rotate(owner, one)
    secret = stored(one).secret
    assert not shows(owner, place, secret)
    assert shows(owner, newer, secret)
    for shown in ("", ".", "x", "é", "W10.x", "WyJhIiwxXQ.x", "%00", "%ff", "\u202e", "x" * 60_000):
        assert not shows(owner, f"{PLACE}{one}?shown={shown}", secret), shown
    elsewhere = Owner(app)
    elsewhere.log_in()
    assert not shows(elsewhere, newer, secret)
    owner.does("/admin/logout")
    owner.log_in()
    assert not shows(owner, newer, secret)


def test_the_password_shows_it_in_the_answer_alone(owner: Owner) -> None:
    row_id, _ = add(owner)
    secret, url = stored(row_id).secret, f"{PLACE}{row_id}/secret"
    field = attributes(owner.page(url), ".//input[@name='password']")
    assert field["autocomplete"] == "current-password"
    for password in ("", "wrong", PASSWORD.upper(), "x" * 2000):
        answer = owner.post(url, {"password": password})
        assert answer.status_code == 422
        assert part(parse(answer), "password-reason") == "This is not the password."
        assert value(parse(answer), "password") == ""
        assert "whsec_" not in answer.text
    answer = owner.post(url, {"password": PASSWORD})
    assert answer.headers["Cache-Control"] == "no-store"
    assert text(parse(answer).find(".//*[@id='shown-secret']")) == secret
    assert not shows(owner, url, secret)


def test_two_minutes_later_it_is_not_shown(owner: Owner, later: Later) -> None:
    row_id, place = add(owner)
    secret = stored(row_id).secret
    later(110)
    assert shows(owner, place, secret)
    for clock_moves in (12, -3600):
        later(clock_moves)
        assert not shows(owner, place, secret)


def test_the_second_click_of_two_shows_it_too_while_it_is_new(owner: Owner, later: Later) -> None:
    sent = form(owner)
    row_id = owner.post(PLACE, sent).headers["Location"].partition("?")[0].rpartition("/")[2]
    secret = stored(row_id).secret
    assert shows(owner, owner.post(PLACE, sent).headers["Location"], secret)
    later(121)
    assert not shows(owner, owner.post(PLACE, sent).headers["Location"], secret)


def test_it_is_on_no_other_page_and_in_no_log(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    row_id, _ = add(owner)
    owner.open("GET", rotate(owner, row_id))
    row = stored(row_id)
    assert row.previous_secret is not None
    pages = ("", "/edit", "/secret", "/delete")
    for url in (PLACE, "/admin/", "/admin/deliveries/", *(PLACE + row_id + page for page in pages)):
        answer = owner.get(url)
        seen = answer.text + str(answer.headers) + caplog.text
        assert row.secret not in seen
        assert row.previous_secret not in seen
        assert "whsec_" not in seen


@pytest.mark.parametrize(("hours", "seconds"), [("1", 3600), ("168", 604800)])
def test_the_old_one_signs_for_the_overlap(owner: Owner, later: Later, hours: str, seconds: float) -> None:
    row_id, _ = add(owner)
    before = stored(row_id)
    place = rotate(owner, row_id, hours)
    row = stored(row_id)
    assert row.secret != before.secret
    assert row.previous_secret == before.secret
    assert row.previous_secret_expires_at is not None
    wait = row.previous_secret_expires_at - clock.now()
    assert abs(wait.total_seconds() - seconds) < 9
    assert shows(owner, place, row.secret)
    exact = clock.to_text(row.previous_secret_expires_at)
    for url in (place, PLACE + row_id):
        assert "The old one also signs until " in text(owner.page(url))
        assert f'<time datetime="{exact}"' in owner.get(url).text
        later((seconds - 60) / 2)
    later(61)
    assert "The old one also signs until" not in text(owner.page(PLACE + row_id))


def test_an_overlap_of_a_day_is_offered_first(owner: Owner) -> None:
    row_id, _ = add(owner)
    options = owner.page(PLACE + row_id).findall(".//select[@id='hours']/option")
    assert [one.attrib["value"] for one in options] == ["0", "1", "24", "72", "168"]
    assert [one.attrib["value"] for one in options if "selected" in one.attrib] == ["24"]


def test_what_a_page_says_of_the_secret_does_not_tell_it(owner: Owner) -> None:
    one, other = (factories.webhook(secret="whsec_" + "A" * 32) for _ in range(2))
    marks = [value(owner.page(PLACE + row_id), "replaces") for row_id in (one, other)]
    assert all(re.fullmatch(r"[0-9a-f]{64}", mark) for mark in marks)
    assert marks[0] != marks[1], "two webhooks with one secret do not look alike"
