"""cron, deliver, prune: silent when all is well, one line for what their owner must know; and pings."""

import threading
from datetime import timedelta

import pytest
from flask import Flask

from guestbook.background import whole_pass
from guestbook.lib import clock
from guestbook.storage import cron_token
from guestbook.storage.database import db
from tests.cli.conftest import Process, Shell
from tests.support import factories
from tests.support.receiver import Answer, Receiver


def test_verbose_tells_what_happens_to_each(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"), name="Chat\x1b[31m")
    receiver.answer("/hook", Answer(200), Answer(500))
    factories.sign()
    said = shell("cron", "-v")
    assert f"{factories.one().id} comment.created to Chat [31m: processed (" in said
    assert said.endswith("Processed 1, to be retried 0, given up 0.\n")
    factories.sign()
    assert "will be retried at 20" in shell("cron", "--verbose")


def test_deliver_sends_and_cleans_nothing_up(shell: Shell, receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    factories.delivery(hook, status="processed", finished_at=clock.now() - timedelta(days=99))
    factories.sign()
    for _ in range(2):
        shell("deliver")
    assert [row.status for row in factories.deliveries()] == ["processed", "processed"]


def test_prune_prints_how_much_it_removed_only_when_asked(shell: Shell) -> None:
    hook = factories.webhook()
    for _ in range(2):
        factories.delivery(hook, status="processed", finished_at=clock.now() - timedelta(days=99))
        assert shell("prune") == ""
        assert factories.deliveries() == []
    factories.delivery(hook, status="failed", finished_at=clock.now() - timedelta(days=99))
    assert shell("prune", "-v") == "Removed 1 row.\n"
    assert shell("prune", "-v") == "Removed 0 rows.\n"


NOBODY = "postgresql+psycopg://me:hunter2@127.0.0.1:1/book"


def pings(monitor: Receiver) -> list[str]:
    return [request.path for request in monitor.requests]


def test_each_pass_pings_at_its_start_and_its_end(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    factories.sign()
    assert shell("cron", "--ping-url", receiver.url("/ping/?a=1")) == ""
    assert sorted(pings(receiver)) == ["/hook", "/ping/?a=1", "/ping/start?a=1"]
    assert pings(receiver)[-1] == "/ping/?a=1"
    assert factories.one().status == "processed"


@pytest.mark.usefixtures("app")
def test_a_pass_with_nothing_to_do_pings_too(forked: Process, receiver: Receiver) -> None:
    forked("cron")
    assert forked("cron", "--ping-url", receiver.url("/ping")) == (0, "", "")
    assert pings(receiver) == ["/ping/start", "/ping"]


@pytest.mark.usefixtures("app")
def test_a_monitor_may_stand_in_the_settings_and_the_option_wins(forked: Process, receiver: Receiver) -> None:
    forked("cron")
    setting = receiver.url("/setting")
    for words in (("cron",), ("cron", "--stay", "--max-seconds", "0.1")):
        assert forked(*words, PING_URL=setting) == (0, "", "")
        assert pings(receiver) == ["/setting/start", "/setting"]
        receiver.requests.clear()
    assert forked("deliver", PING_URL=setting) == (0, "", "")
    assert forked("cron", "--ping-url", receiver.url("/option"), PING_URL=setting) == (0, "", "")
    assert pings(receiver) == ["/option/start", "/option"]


def test_a_pass_without_a_database_says_that_it_failed(forked: Process, receiver: Receiver) -> None:
    code, _, said = forked("cron", "--ping-url", receiver.url("/ping"), DATABASE_URL=NOBODY)
    assert code == 75
    assert pings(receiver) == ["/ping/start", "/ping/fail"]
    assert receiver.requests[-1].body == b"The pass ended with exit code 75."
    assert "hunter2" not in said


def test_a_monitor_that_is_away_or_broken_hinders_nothing(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    receiver.answer("/ping", Answer(500))
    for url in ("http://127.0.0.1:1/ping", receiver.url("/ping")):
        factories.sign()
        assert shell("cron", "--ping-url", url) == ""
    assert {row.status for row in factories.deliveries()} == {"processed"}


def test_a_host_that_allows_no_thread_tells_the_end_of_the_pass(
    shell: Shell, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(whole_pass, "Thread", Refused)
    assert shell("cron", "--ping-url", receiver.url("/ping")) == ""
    assert pings(receiver) == ["/ping"]


def test_a_url_that_is_refused_is_named_and_the_pass_runs(app: Flask, shell: Shell) -> None:
    done = shell.result("cron", "--ping-url", "http://10.0.0.1/ping")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no ping is sent to the monitor. 10.0.0.1 is a private or reserved address" in done.stderr
    assert app.config["GUESTBOOK"].allow_networks
    assert db.session.connection().exec_driver_sql("SELECT count(*) FROM passes").scalar() == 1


def test_the_address_stays_until_it_is_rotated_or_removed(shell: Shell) -> None:
    first = shell("cron-url")
    assert first.startswith("https://book.example/cron/")
    assert shell("cron-url") == first != shell("cron-url", "--rotate")
    assert shell("cron-url") != first
    shell("cron-url", "--off")
    assert cron_token.read(db.session()) is None
    assert "Choose --rotate or --off." in shell.refused("cron-url", "--rotate", "--off", code=2)
