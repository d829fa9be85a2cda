"""Past events for a webhook, on the page that counts them first."""

from datetime import timedelta
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.comments import backfill
from guestbook.lib import clock
from guestbook.web.admin import queue
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import parse, plain, text

BOTH = "comment.created comment.published"


@pytest.fixture
def place(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    """The page of a webhook that has not heard of two comments."""
    factories.sign()
    factories.sign()
    return f"/admin/webhooks/{factories.webhook(events=BOTH)}"


def test_they_are_counted_and_then_sent(owner: Owner, place: str) -> None:
    [link] = [a for a in owner.page(place).findall(".//a") if a.text == "send it past events"]
    assert "Since (UTC)" in text(owner.page(link.attrib["href"]))
    since = (clock.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    page = owner.page(counted := f"{place}/backfill?since={since}")
    assert "2 comments have events that this webhook has not had." in plain(page)
    cells = [[text(cell) for cell in row] for row in page.findall(".//tbody/tr")]
    assert cells == [[one, "2"] for one in BOTH.split()]
    [button] = [one for one in page.findall(".//button") if text(one).startswith("Send")]
    assert text(button) == "Send 4 events"
    assert factories.deliveries() == []
    form = button_form(page)
    assert "4 past events are on the way." in plain(owner.does(f"{place}/backfill", form))
    assert [row.event for row in factories.deliveries()] == BOTH.split() * 2
    assert "Left out, because it has deliveries of them: 4 events." in plain(owner.page(counted))


def button_form(page: Element) -> dict[str, object]:
    """What the form with the button sends, without the key."""
    hidden = page.findall(".//form[@method='post']/input[@type='hidden']")
    return {one.attrib["name"]: one.attrib["value"] for one in hidden if one.attrib["name"] != "csrf_token"}


def test_many_take_two_clicks(owner: Owner, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "STORED_TOGETHER", 1)
    monkeypatch.setattr(queue, "SENT_AT_ONCE", 2)
    assert "Send the first 2 events" in plain(owner.page(f"{place}/backfill?since=2d"))
    page = owner.does(f"{place}/backfill", {"since": "2d"})
    assert "2 past events are on the way." in plain(page)
    assert "Send 2 events" in plain(page)
    assert "after" in button_form(page)
    assert len(factories.deliveries()) == 2


def test_a_long_count_goes_on(owner: Owner, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "READ_TOGETHER", 1)
    monkeypatch.setattr(queue, "COUNT_LIMIT", 1)
    page = owner.page(f"{place}/backfill?since=2d")
    assert "More than 1 events" in plain(page)
    assert "Send 2 events" in plain(page)
    monkeypatch.undo()
    monkeypatch.setattr(backfill, "READ_TOGETHER", 1)
    monkeypatch.setattr(queue, "LOOKED_AT_ONCE", 1)
    page = owner.page(f"{place}/backfill?since=2d")
    [link] = [a for a in page.findall(".//a") if a.text == "Go on with later ones"]
    page = owner.page(link.attrib["href"])
    assert "This counts the first comments only." in plain(page)
    owner.does(f"{place}/backfill", button_form(page))
    newest = factories.comments()[-1].id
    assert [row.comment_id for row in factories.deliveries()] == [newest, newest]
    assert "This counts" not in plain(owner.page(f"{place}/backfill?since=2d&after={'f' * 32}"))


def test_what_is_wrong_is_said(owner: Owner, place: str) -> None:
    answer = owner.get(f"{place}/backfill?since=soon")
    assert (answer.status_code, "no time such as" in answer.text) == (422, True)
    assert owner.post(f"{place}/backfill", {}).status_code == 422
    pings = factories.webhook(events="ping")
    answer = owner.get(f"/admin/webhooks/{pings}/backfill?since=1d")
    assert answer.status_code == 422
    assert "This webhook gets ping." in plain(parse(answer))
    assert owner.get(f"/admin/webhooks/{'0' * 32}/backfill").status_code == 404
    assert factories.deliveries() == []
