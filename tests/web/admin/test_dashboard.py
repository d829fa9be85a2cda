"""The admin's first page: is cron alive, what waits, what failed, and how the webhooks do."""

import sys
from datetime import timedelta
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import statistics
from guestbook.settings import installation
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import Visitor, add, by_class, hrefs, plain, text

URL = "/admin/"
ADDRESS = "https://receiver.example/hook"
SVG = "{http://www.w3.org/2000/svg}"
MINUTE = timedelta(minutes=1)


def came(ago: timedelta = MINUTE, *, ended: bool = True, **did: int) -> None:
    """Let a pass have come so long ago."""
    factories.past_pass(ago, ended=ended, **did)


def used() -> str:
    """Let the book be in use: a webhook, a comment, cron has come."""
    came()
    add(["Hello"])
    return factories.webhook(name="Chat")


def tiles(page: Element) -> list[str]:
    [row] = by_class(page, "tiles")
    return [plain(tile) for tile in row.findall("li")]


def section(page: Element, name: str) -> Element | None:
    return page.find(f".//section[@aria-labelledby='{name}']")


STEPS = ["Add a webhook", "Set up cron", "Sign the book"]


def test_a_new_book_shows_four_steps_and_no_empty_charts(owner: Owner) -> None:
    page = owner.page(URL)
    steps = by_class(page, "steps")[0].findall("li")
    assert [plain(step.find("h3")) for step in steps] == [*STEPS, "Put it on your website"]
    links = [link.attrib["href"] for step in steps for link in step.iter("a")]
    assert links == ["/admin/webhooks/new", "/#sign", "/admin/welcome/?step=website#website"]
    assert not page.findall(f".//{SVG}svg")
    assert not page.findall(".//table")
    assert [tile[0] for tile in tiles(page)] == ["0", "0", "0"]


def test_the_step_for_cron_has_the_line_of_this_installation(app: Flask, owner: Owner) -> None:
    line = text(owner.page(URL).find(".//pre"))
    assert line == installation.crontab_line(app.config["GUESTBOOK"].data_dir)
    assert f"{sys.prefix}/bin/flask --app guestbook cron" in line


def test_what_is_done_is_ticked_and_in_the_end_the_steps_are_gone(owner: Owner) -> None:
    factories.webhook()
    assert [plain(step) for step in by_class(owner.page(URL), "done")] == ["Add a webhook done"]
    add(["Hello"], status="spam")
    assert len(by_class(owner.page(URL), "done")) == 2
    came()
    assert by_class(owner.page(URL), "steps") == []


def test_when_cron_is_late_the_page_says_what_to_do(app: Flask, owner: Owner) -> None:
    hook = used()
    came(-MINUTE)
    factories.delivery(hook, due_at=clock.now() - 20 * MINUTE)
    factories.sql("DELETE FROM passes")
    came(30 * MINUTE)
    cron = section(owner.page(URL), "cron")
    assert "Cron late Deliveries are due" in plain(cron)
    assert text(cron.find(".//pre")) == installation.crontab_line(app.config["GUESTBOOK"].data_dir)


def test_the_tiles_say_what_waits_what_failed_and_what_to_look_at(owner: Owner) -> None:
    hook = used()
    add(["one", "two"], status="held")
    disabled = factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand")
    factories.delivery(hook, due_at=clock.now() - MINUTE)
    factories.delivery(hook, due_at=clock.now() + 60 * MINUTE)
    factories.delivery(disabled)
    for _ in range(4):
        factories.delivery(hook, status="failed")
    page = owner.page(URL)
    assert tiles(page)[0] == "3 waiting 1 due now, 1 later, 1 for disabled webhooks."
    factories.delivery(hook, attempts=1, claims=1, due_at=clock.now() + 60 * MINUTE)
    assert tiles(owner.page(URL))[0].startswith("3 waiting 1 retrying 1 due now, 2 later, ")
    assert tiles(page)[1].startswith("4 given up")
    assert tiles(page)[2].startswith("2 to review")
    links = hrefs(by_class(page, "tiles")[0])
    lists = ("deliveries/?status=waiting", "deliveries/?status=given-up", "comments/?status=held")
    assert links == [URL + one for one in lists]
    assert all(owner.get(link).status_code == 200 for link in links)


def test_what_the_rules_marked_as_spam_is_to_be_reviewed_until_the_owner_looks(
    app: Flask, owner: Owner
) -> None:
    visitor = Visitor(app)
    markup = "[url=https://a.example]x[/url] <a href='https://b.example'>y</a>"
    answer = visitor.sign(name="Zoe", message=markup)
    assert "The owner will look at it first." in text(visitor.page(answer.location))
    assert tiles(owner.page(URL))[2] == "1 to review 1 marked as spam since you last looked."
    [comment] = factories.rows(Comment)
    factories.written(
        lambda session: session.get_one(Comment, comment.id).note_decision(
            "edited", "visitor", None, clock.now()
        )
    )
    assert tiles(owner.page(URL))[2].startswith("1 to review"), "no edit hides it"
    listed = f"{URL}comments/?status=spam"
    assert listed in hrefs(by_class(owner.page(URL), "tiles")[0])
    assert "Zoe" in text(owner.page(f"{listed}&words=Zoe"))
    assert tiles(owner.page(URL))[2].startswith("1 to review"), "a search is no look at the list"
    assert "Zoe" in text(owner.page(listed))
    assert tiles(owner.page(URL))[2] == "0 to review No comment waits for you."
    owner.does(f"{URL}comments/{comment.id}/publish", {})
    owner.does(f"{URL}comments/{comment.id}/spam", {})
    assert tiles(owner.page(URL))[2].startswith("0 to review"), "the owner has marked it"


def test_what_no_pass_sends_is_not_due(owner: Owner) -> None:
    used()
    for webhook in ({"paused_until": clock.now() + 60 * MINUTE}, {"url": "pull:"}):
        row_id = factories.webhook(**webhook)
        for minutes in (-5, 5):
            factories.delivery(row_id, due_at=clock.now() + minutes * MINUTE)
    assert tiles(owner.page(URL))[0].endswith(" 0 due now, 0 later, 2 to be fetched, 2 for paused webhooks.")


def test_a_chart_is_a_picture_with_a_name_and_the_numbers_beside_it(owner: Owner) -> None:
    hook = used()
    for status in ("processed", "processed", "failed", "new"):
        factories.delivery(hook, status=status)
    page = owner.page(URL)
    charts = by_class(page, "chart")
    assert len(charts) == 2
    for chart, bars in zip(charts, (24, 30), strict=True):
        [svg] = chart.findall(f".//{SVG}svg")
        assert svg.attrib["role"] == "img"
        named = [page.find(f".//*[@id='{name}']") for name in svg.attrib["aria-labelledby"].split()]
        assert "UTC" in text(named[0])
        assert text(named[1]).startswith("2 delivered, 1 waiting or retrying, 1 given up.")
        drawn = [rect.attrib["class"] for rect in svg.iter(f"{SVG}rect")]
        assert [one for one in drawn if one != "hover-area"] == ["processed", "new", "failed"]
        rows = [[text(cell) for cell in row] for row in chart.findall(".//details//tr")]
        assert rows[0][1:] == ["Delivered", "Waiting or retrying", "Given up"]
        assert len(rows) == bars + 1
        assert rows[1][1:] == ["2", "1", "1"]
        assert {cell for row in rows[2:] for cell in row[1:]} == {"0"}
    assert "style" not in {name for element in page.iter() for name in element.attrib}


def test_each_webhook_has_its_health_success_and_time(owner: Owner) -> None:
    hook = used()
    for number, error in enumerate((None, None, "No.")):
        outcome = {"status": "failed" if error else "processed", "attempts": 1, "claims": 1}
        delivery = factories.delivery(hook, **outcome)
        factories.attempt(delivery, milliseconds=(number + 1) * 1000, error=error)
    factories.webhook(name="Off", disabled_at=clock.now(), disabled_reason="gone")
    factories.webhook(name="Ill", failing_since=clock.now(), failures_in_a_row=1)
    factories.webhook(name="New")
    rows = owner.page(URL).findall(".//section[@aria-labelledby='webhooks']//tbody/tr")
    assert [[plain(cell) for cell in row] for row in rows] == [
        [f"Chat {ADDRESS}", "healthy", "66 % of 3", "2,000 ms", "0"],
        [f"Off {ADDRESS}", "disabled", "no attempt yet", "–", "0"],
        [f"Ill {ADDRESS}", "failing", "no attempt yet", "–", "0"],
        [f"New {ADDRESS}", "not tried yet", "no attempt yet", "–", "0"],
    ]
    link = rows[0].find(".//a")
    assert link.attrib["href"] == f"/admin/webhooks/{hook}"


def test_many_webhooks_lead_to_the_list(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    used()
    monkeypatch.setattr(statistics, "SHOWN_WEBHOOKS", 1)
    factories.delivery(factories.webhook())
    page = owner.page(URL)
    assert "All webhooks" in plain(section(page, "webhooks"))
    assert tiles(page)[0] == "1 waiting Due now or later."


def test_the_newest_comments_and_what_was_given_up_lead_on(owner: Owner) -> None:
    hook = used()
    delivery = factories.delivery(hook, status="failed", last_error="The receiver answered 500.")
    page = owner.page(URL)
    assert plain(section(page, "given-up")).endswith("The receiver answered 500.")
    assert "Hello" in plain(section(page, "newest"))
    links = [link.attrib["href"] for part in by_class(page, "list") for link in part.iter("a")]
    assert links[1] == f"/admin/deliveries/{delivery}"
    assert all(owner.get(link).status_code == 200 for link in links)


def test_hostile_names_and_answers_are_only_text(owner: Owner) -> None:
    bad = "</title></svg><script>alert(1)</script>{{ 7*7 }}\u202e"
    used()
    add([bad], name=bad)
    hook = factories.webhook(name=bad[:80])
    factories.delivery(hook, status="failed", last_error=bad)
    owner.inert(URL)
    page = owner.page(URL)
    assert "alert(1)" in plain(section(page, "newest"))
    assert "49" not in plain(section(page, "newest"))
