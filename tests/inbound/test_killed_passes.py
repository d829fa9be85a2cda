"""Passes over the inbox that are killed, overlap or come late: each event has one effect."""

import json
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from guestbook.background import whole_pass
from guestbook.inbound import event_processor
from guestbook.inbound.event_processor import Processor
from guestbook.inbound.verify_and_decide import InboundDecision, ReceivedEvent
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Source
from tests.support import factories, inbound_factories
from tests.support.at_once import at_once
from tests.support.forks import Forks
from tests.support.processes import wait_for

pytestmark = pytest.mark.usefixtures("any_app")


def test_a_pass_killed_inside_an_action_leaves_no_half(each_environ: dict[str, str], forks: Forks) -> None:
    _costs_its_lease(each_environ, forks, "inside_inbox_action")


def test_a_pass_killed_after_its_claim_costs_its_lease(environ: dict[str, str], forks: Forks) -> None:
    """On one database: nothing is open when it dies."""
    _costs_its_lease(environ, forks, "after_inbox_claim")


def _costs_its_lease(environ: dict[str, str], forks: Forks, point: str) -> None:
    inbound_factories.source()
    inbound_factories.post({"text": "one"})
    forks.run(environ, "cron", point=point)
    assert _standing() == ("new", 1, 0)
    assert inbound_factories.messages() == []
    forks.run(environ, "cron")
    assert inbound_factories.row().status == "new"  # the lease is respected while it lasts
    inbound_factories.expire()
    forks.run(environ, "cron")
    assert _standing() == ("processed", 2, 1)
    assert inbound_factories.messages() == ["one"]


def _standing() -> tuple[str, int, int]:
    row = inbound_factories.row()
    return row.status, row.claims, row.attempts


def test_an_event_that_kills_each_pass_is_given_up(environ: dict[str, str], forks: Forks) -> None:
    inbound_factories.source()
    for text in ("before", "poison", "after"):
        inbound_factories.post({"text": text})
    for kill in range(event_processor.MOST_LOST_PASSES):
        forks.run(environ, "cron", point="over_poison")
        inbound_factories.expire()
        assert kill or inbound_factories.messages() == []  # in one batch with it, once
    done = forks.run(environ, "cron", point=None)
    assert "guestbook: 1 inbound event of source Robot failed" in done.printed
    by_text = {json.loads(one.payload)["text"]: one for one in inbound_factories.rows()}
    assert by_text["poison"].status == "failed"
    assert by_text["poison"].error == f"{event_processor.PASSES_ENDED} ({event_processor.MOST_LOST_PASSES})"
    assert sorted(inbound_factories.messages()) == ["after", "before"]
    inbound_factories.check()


def test_two_that_work_at_once_share_the_events_and_repeats_have_one_effect(each_app: Flask) -> None:
    inbound_factories.source(verify="github", secret=inbound_factories.SECRET, template="{{ payload.n }}")
    for number in range(20):
        for _ in range(2):
            inbound_factories.github({"n": str(number)}, f"d{number}")
    at_once(each_app, 4, lambda _: inbound_factories.process())
    assert {one.status for one in inbound_factories.rows()} == {"processed"}
    assert sorted(inbound_factories.messages(), key=int) == [str(number) for number in range(20)]
    inbound_factories.check()


def test_a_late_acknowledgement_changes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    inbound_factories.source()
    inbound_factories.post({"text": "once"})
    slow = Processor(db.engine, app.config["GUESTBOOK"])
    decide = slow.decide

    def overtaken(event: ReceivedEvent, source: Source) -> InboundDecision:
        inbound_factories.expire()
        inbound_factories.process()
        return decide(event, source)

    monkeypatch.setattr(slow, "decide", overtaken)
    slow.work()
    assert slow.counts.processed == 0
    assert inbound_factories.messages() == ["once"]
    assert _standing() == ("processed", 2, 1)


def test_a_clock_that_ran_ahead_leaves_nothing_behind(app: Flask) -> None:
    inbound_factories.source()
    inbound_factories.post({"text": "early"})
    factories.execute(update(INBOUND).values(due_at=clock.now() + timedelta(days=3)))
    report = whole_pass.run(db.engine, app.config["GUESTBOOK"], whole_pass.Options())
    assert report.inbox.processed == 1


def test_a_pass_that_stays_takes_over_when_anothers_lease_ends(environ: dict[str, str], forks: Forks) -> None:
    inbound_factories.source()
    inbound_factories.post({"text": "left"})
    with database.write(db.engine) as connection:
        ends = clock.now() + timedelta(seconds=3)
        connection.execute(update(INBOUND).values(due_at=ends, claimed_by="the dead", claims=1))
    staying = forks.start(environ, "cron", "--stay")
    _wait_until_processed()
    assert inbound_factories.row().processed_at - ends < timedelta(seconds=2)
    staying.terminate()
    assert staying.wait() == 0


# SQLite tells of changes in its own way; of the servers MariaDB hides them from an old snapshot.
@pytest.mark.parametrize("each_environ", ["sqlite-wal", "mariadb"], indirect=True)
def test_a_pass_that_stays_takes_what_comes_meanwhile(each_environ: dict[str, str], forks: Forks) -> None:
    inbound_factories.source()
    staying = forks.start(each_environ, "cron", "--stay")
    staying.is_at_work()
    inbound_factories.post({"text": "now"})
    _wait_until_processed()
    assert clock.now() - inbound_factories.row().received_at < timedelta(seconds=2)
    staying.terminate()
    assert staying.wait() == 0
    assert staying.printed == ""


def _wait_until_processed() -> None:
    wait_for(lambda: inbound_factories.row().status != "new")
