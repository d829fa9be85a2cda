"""Dates are in the book's time zone, and where its owner allows it a script shows the visitor's."""

from datetime import UTC, date, datetime
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.storage.models import Setting
from guestbook.web import look_language_time_zone, response_headers
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import TIMES_SCRIPT, Visitor, add, by_class, parse, scripts, set_, text

LATE = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)  # the next day in Berlin
WITHOUT_SCRIPT = response_headers.RESPONSE_HEADERS["Content-Security-Policy"]
NO_SCRIPTS = "No scripts run here."
ONE_SCRIPT = "One small script shows dates in your time zone."


def days(page: Element) -> list[date]:
    """The days that a page in English shows, in the order of the page."""
    shown = [text(time) for time in page.findall(".//main//time")]
    return [datetime.strptime(day, "%d %B %Y").date() for day in shown]


def policy(visitor: Visitor, url: str) -> str:
    return visitor.get(url).headers["Content-Security-Policy"]


def footer(visitor: Visitor, url: str) -> str:
    return text(by_class(visitor.page(url), "site-footer")[0])


# --- the book's zone


def test_the_foot_of_a_page_with_dates_names_their_zone_where_no_script_runs(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    set_(timezone="Europe/Berlin", embed_sites="https://one.example")
    named, urls = "Dates are in the time zone Europe/Berlin.", ("/", f"/comments/{comment_id}", "/embed")
    for url in urls:
        [note] = by_class(visitor.page(url), "site-footer")[0].iter("noscript")
        assert text(note) == named
    set_(visitor_times="no")
    for url in urls:
        assert named in footer(visitor, url)
        assert not list(visitor.page(url).iter("noscript"))
    assert named not in footer(visitor, "/privacy")


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), date(2026, 3, 29)),  # the day that lacks an hour
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), date(2026, 10, 25)),  # the day with one more
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), date(2026, 10, 26)),
    ],
)
def test_a_comment_has_the_day_of_its_writing_there(visitor: Visitor, utc: datetime, day: date) -> None:
    set_(timezone="Europe/Berlin")
    [comment_id] = add(["Hello"], created_at=utc)
    for url in ("/", f"/comments/{comment_id}", f"/?signed={comment_id}"):
        page = visitor.page(url)
        assert days(page) == [day]
        [time] = page.findall(".//time")
        assert time.attrib["datetime"] == time.attrib["title"] == utc.isoformat()[:19] + ".000Z"


def test_another_zone_is_seen_at_once_though_comments_are_kept_ready(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"], created_at=LATE)
    for url in ("/", f"/comments/{comment_id}"):
        for zone, day in (("UTC", 14), ("Europe/Berlin", 15), ("America/New_York", 14), ("Asia/Tokyo", 15)):
            before = visitor.get(url).headers["ETag"]
            set_(timezone=zone)
            after = visitor.get(url, headers={"If-None-Match": before})
            assert [shown.day for shown in days(visitor.page(url))] == [day]
            assert after.status_code == (304 if zone == "UTC" else 200)
        set_(timezone="UTC")


@pytest.mark.parametrize("stored", ["Europe/Atlantis", "../../etc/passwd", "localtime", ""])
def test_a_zone_that_is_garbled_or_lost_is_utc(visitor: Visitor, stored: str) -> None:
    add(["Hello"], created_at=LATE)
    factories.written(lambda session: session.merge(Setting(name="timezone", value=stored)))
    assert days(visitor.page()) == [LATE.date()]


def test_feeds_and_the_admin_pages_stay_in_utc(owner: Owner) -> None:
    set_(timezone="Europe/Berlin")
    [comment_id] = add(["Hello"], created_at=LATE)
    for url in ("/feed.atom", "/feed.json"):
        assert "2026-07-14T22:30:00.000Z" in owner.get(url).text
    page = owner.page(f"/admin/comments/{comment_id}")
    assert "14 July 2026, 22:30 UTC" in [text(time) for time in page.iter("time")]


# --- the script


def test_pages_with_dates_run_one_script_and_no_other_page_does(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    for url in ("/", f"/comments/{comment_id}", f"/?before={'f' * 32}", "/?signed=waiting"):
        assert policy(visitor, url) == f"{WITHOUT_SCRIPT}; script-src 'self'"
        assert scripts(visitor.page(url)) == TIMES_SCRIPT
        assert ONE_SCRIPT in footer(visitor, url)
        assert NO_SCRIPTS not in footer(visitor, url)
    for url in ("/privacy", "/nowhere", "/comments/x", "/?before=x", "/feed.atom", "/static/times.js"):
        assert policy(visitor, url) == WITHOUT_SCRIPT
    assert scripts(visitor.page("/privacy")) == scripts(parse(visitor.get("/nowhere"))) == []
    assert NO_SCRIPTS in footer(visitor, "/privacy")


def test_a_page_that_a_browser_has_keeps_the_policy_of_its_script(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    url = f"/comments/{comment_id}"
    known = {"If-None-Match": visitor.get(url).headers["ETag"]}
    same = visitor.get(url, headers=known)
    assert (same.status_code, "script-src" in same.headers["Content-Security-Policy"]) == (304, True)
    set_(visitor_times="no")
    new = visitor.get(url, headers=known)
    assert (new.status_code, new.headers["Content-Security-Policy"]) == (200, WITHOUT_SCRIPT)


def test_errors_have_the_strict_policy(app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    [comment_id] = add(["Hello"])
    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(look_language_time_zone, "zone", lambda: 1 / 0)
    answer = visitor.get(f"/comments/{comment_id}")
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (500, WITHOUT_SCRIPT)
