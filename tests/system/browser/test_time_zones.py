"""Chromium shows dates in the zone of its device, in each language; without scripts, in the book's."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from guestbook.comments import comment_actions
from guestbook.storage.preferences import BOOK_LANGUAGES
from tests.support import factories
from tests.support.visitor import Visitor, add, set_
from tests.system.browser.conftest import OpenContext

pytestmark = pytest.mark.needs("chromium")

LATE = datetime(2026, 7, 31, 22, 30, tzinfo=UTC)
# And LATE's day there.
ZONES = {"Europe/Berlin": 1, "America/New_York": 31, "Pacific/Kiritimati": 1, "UTC": 31}
FIRST_OF_AUGUST = {
    "en": "1 August 2026",
    "de": "1. August 2026",
    "fr": "1er août 2026",
    "es": "1 de agosto de 2026",
    "nl": "1 augustus 2026",
    "it": "1 agosto 2026",
    "pt": "1 de agosto de 2026",
    "pl": "1 sierpnia 2026",
    "cs": "1. srpna 2026",
    "sv": "1 augusti 2026",
    "ja": "2026年8月1日",
    "ar": "1 أغسطس 2026",
}
LAST_OF_JULY = "31 July 2026"


def filled(app: Flask, zone: str) -> str:  # noqa: ARG001  the factories fill it
    """Fill a book in this zone; return the id of its comment."""
    [comment_id] = add(["Hello"], created_at=LATE)
    set_(timezone=zone)
    factories.change(comment_id, comment_actions.reply, "Welcome")
    return comment_id


def opened(open_context: OpenContext, url: str, **options: object) -> Page:
    page = open_context(**options).new_page()
    page.goto(url)
    return page


def assert_shown(page: Page, day: str, tooltip: str = "2026-07-31T22:30:00.000Z") -> None:
    """The comment shows the day, screen readers read the same, and the tooltip has the time of day."""
    time = page.locator(".signature time")
    expect(time).to_have_text(day)
    expect(time).to_have_attribute("title", re.compile(re.escape(tooltip)))
    label = page.locator("article").get_attribute("aria-label") or ""
    assert "Ada" in label
    assert label.endswith(day)


def test_the_visitor_s_day_is_written_as_the_book_writes_its_own(
    app: Flask, open_context: OpenContext
) -> None:
    url = f"/comments/{filled(app, 'UTC')}"
    page = open_context(timezone_id="Europe/Berlin").new_page()
    for code in BOOK_LANGUAGES:
        page.set_extra_http_headers({"Accept-Language": code})
        page.goto(url)
        assert_shown(page, FIRST_OF_AUGUST[code], f"{FIRST_OF_AUGUST[code]}, 00:30 ")
    set_(timezone="Europe/Berlin")
    for code in BOOK_LANGUAGES:
        written = Visitor(app).get(url, headers={"Accept-Language": code}).text
        assert f">{FIRST_OF_AUGUST[code]}</time>" in written
    page = opened(open_context, url, locale="fr", java_script_enabled=False, timezone_id="UTC")
    assert_shown(page, FIRST_OF_AUGUST["fr"])


@pytest.mark.parametrize("zone", ZONES)
def test_the_device_s_zone_counts_whatever_the_book_s_is(
    app: Flask, open_context: OpenContext, zone: str
) -> None:
    filled(app, "Asia/Tokyo")
    page = opened(open_context, "/", locale="en", timezone_id=zone)
    day = LAST_OF_JULY if ZONES[zone] == 31 else FIRST_OF_AUGUST["en"]
    assert_shown(page, day, f"{day}, ")
    expect(page.locator(".site-footer")).to_contain_text("One small script shows dates in your time zone.")
    reply = page.locator(".reply time")
    there = datetime.fromisoformat(reply.get_attribute("datetime") or "")
    number = page.evaluate("moment => new Date(moment).getDate()", there.isoformat())
    expect(reply).to_have_text(f"{number} {reply.inner_text().partition(' ')[2]}")
