"""Errors that are not the receiver's: a full log, a broken connection, few threads, a proxy, garbled rows."""

import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from guestbook.lib import clock, ids
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.receiver import Answer, Receiver

CRON = [sys.executable, "-m", "flask", "--app", "guestbook", "cron"]


@pytest.mark.usefixtures("app")
def test_a_log_on_a_full_disk_stops_no_delivery(environ: dict[str, str], receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    for _ in range(30):
        factories.sign()
    db.session.remove()
    with Path("/dev/full").open("w") as full:
        env = {"PATH": "/usr/bin:/bin", **environ}
        done = subprocess.run(
            [*CRON, "-v"], stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(receiver.requests) == 30
    assert {row.status for row in factories.deliveries()} == {"processed"}


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("each_environ", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_a_connection_that_breaks_costs_no_second_request(receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(delay=0.6))
    hooks = [factories.webhook(receiver.url("/hook")) for _ in range(3)]
    for _ in range(4):
        factories.sign()

    def cut() -> None:
        receiver.wait_for(2)
        with engine.connect() as connection:
            others = "pid <> pg_backend_pid() AND datname = current_database()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))

    engine = db.engine
    knife = threading.Thread(target=cut)
    knife.start()
    with suppress(DBAPIError):  # the pass may end, but not before it has recorded what it sent
        factories.run_pass()
    knife.join(20)
    factories.run_pass()
    assert [row.status for row in factories.deliveries()] == ["processed"] * 4 * len(hooks)
    assert len(receiver.requests) == 4 * len(hooks)


@pytest.mark.usefixtures("app")
def test_a_host_that_allows_no_thread_gives_all_back_and_says_so(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.webhook(receiver.url("/hook"))
    factories.sign()

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        tally = factories.run_pass()
    assert tally.local_error == "This host allows not a single request: it limits threads (ulimit -u)."
    assert (factories.one().status, factories.one().claimed_by) == ("new", None)
    factories.run_pass()
    assert factories.one().status == "processed"


def test_a_proxy_that_is_away_is_charged_to_nobody(app: Flask) -> None:
    app.config["GUESTBOOK"] = replace(
        factories.settings(), outbound_proxy="http://127.0.0.1:9", retry_schedule=(0.0, 0.0)
    )
    hook = factories.webhook("http://receiver.example/hook")
    factories.sign()
    for _ in range(3):
        tally = factories.run_pass()
        assert tally.local_error is not None
        assert tally.local_error.startswith("The outbound proxy did not do its work.")
    row = factories.one()
    assert (row.status, row.attempts, row.claimed_by) == ("new", 0, None)
    assert factories.the(Webhook, hook).failures_in_a_row == 0


@pytest.mark.usefixtures("app")
def test_a_host_whose_clock_is_ahead_burns_no_retry_of_another(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer("/hook", Answer(500))
    factories.webhook(receiver.url("/hook"))
    factories.sign()
    factories.run_pass()
    real = clock.now
    made: list[int] = []
    for number in range(6):
        ahead = timedelta(seconds=120 * (number % 2))
        monkeypatch.setattr(clock, "now", lambda ahead=ahead: real() + ahead)
        monkeypatch.setattr(ids, "host_name", lambda number=number: f"host {number % 2}")
        factories.run_pass()
        made.append(factories.one().attempts)
    assert made[-1] <= 3  # one at the start, one after 5 seconds; five minutes have not passed


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("count", [1, 6])
def test_an_outcome_that_the_database_refuses_costs_no_other_one(receiver: Receiver, count: int) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    bad, *good = (factories.delivery(hook) for _ in range(count))
    factories.attempt(bad, number=1)  # so its first attempt cannot be stored
    assert factories.run_pass().processed == len(good)
    assert len(receiver.requests) == count
    assert [row.id for row in factories.deliveries() if row.status == "new"] == [bad]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("count", [2, 40])
def test_a_database_that_refuses_all_outcomes_lets_nothing_more_be_sent(
    receiver: Receiver, count: int
) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    for _ in range(count):
        factories.delivery(hook)
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'refused'); END"
    with db.engine.begin() as connection:
        connection.exec_driver_sql(refuse)
    with pytest.raises(IntegrityError, match="refused"):
        factories.run_pass()
    assert len(receiver.requests) <= 16


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "change",
    [
        """UPDATE webhooks SET headers = '{"\\ud800": "x"}' WHERE name = 'bad'""",
        "UPDATE webhooks SET paused_until = '1 o clock' WHERE name = 'bad'",
        "UPDATE webhooks SET failing_since = 'x', url = 'http://127.0.0.1:9/' WHERE name = 'bad'",
        "UPDATE webhooks SET previous_secret = secret, previous_secret_expires_at = 'x' WHERE name = 'bad'",
        "UPDATE webhooks SET secret = 'whsec_short' WHERE name = 'bad'",
        "UPDATE webhooks SET url = 'gopher://example.org' WHERE name = 'bad'",
    ],
)
def test_a_garbled_row_stops_nobody_else(receiver: Receiver, change: str) -> None:
    factories.webhook(receiver.url("/bad"), name="bad")
    good = factories.webhook(receiver.url("/good"), name="good")
    with db.engine.begin() as connection:
        connection.exec_driver_sql(change)
    for _ in range(2):
        factories.sign()
    factories.run_pass()
    assert [row.status for row in factories.deliveries() if row.webhook_id == good] == ["processed"] * 2
    assert len(receiver.at("/good")) == 2
    assert all(row.claimed_by is None for row in factories.deliveries())
