"""status and doctor: whether cron comes, what waits, what failed, and what is wrong."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import VERSION, clock
from guestbook.queries import statistics
from guestbook.settings import installation
from guestbook.storage import database
from guestbook.storage.database import db, writing
from guestbook.storage.models import Hold
from tests.cli.conftest import FLASK, Process, Shell
from tests.conftest import run
from tests.storage.test_writable_check import full_disk
from tests.support import factories
from tests.support.receiver import Receiver

FACTS = {
    "version", "data_folder", "database", "journal_mode", "comments", "webhooks", "disabled_webhooks",
    "paused_webhooks", "deliveries", "sources", "inbound_events", "oldest_due_seconds", "last_pass",
    "refused_comments_in_30_days", "held_by_a_flood_until", "oldest_held_seconds",
    "last_pass_did", "can_be_written", "well", "failing_webhooks", "webhooks_not_tried_yet",
    "webhooks_that_fail",
}  # fmt: skip
MINUTE = timedelta(minutes=1)


def fact(said: str, name: str) -> str:
    found = re.search(rf"^{name} +(.*)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def unhealthy(shell: Shell, *arguments: str) -> str:
    """Ask for the status of a book that is not healthy, and return what it says."""
    result = shell.result("status", *arguments)
    assert (result.exit_code, result.stderr) == (1, ""), result.output
    return result.stdout


def test_a_new_book_says_that_cron_has_never_come(shell: Shell) -> None:
    said = shell("status")
    assert fact(said, "version") == VERSION
    assert fact(said, "comments") == fact(said, "deliveries") == fact(said, "inbound events") == "none"
    assert fact(said, "last pass") == "-"
    assert fact(said, "healthy") == "no", "nothing is sent"
    assert "\nCron has never come, so nothing is sent.\n" in said
    assert said.endswith(f"    {installation.crontab_line(factories.settings().data_dir)}\n")


def test_it_counts_what_there_is(shell: Shell) -> None:
    hook = factories.webhook(events="comment.created")
    pause = {"events": "ping", "paused_until": clock.now() + MINUTE}
    factories.webhook(**pause)
    factories.webhook(**pause, disabled_at=clock.now(), disabled_reason="gone")
    factories.sign()
    factories.delivery(hook, attempts=2, claims=2)
    factories.delivery(hook, status="failed")
    source = factories.source()
    for status in ("new", "new", "failed"):
        factories.inbound(source, status=status)
    factories.past_pass(MINUTE, ended=True, processed=3, retried=2, failed=1)
    said = unhealthy(shell)
    assert (fact(said, "comments"), fact(said, "sources")) == ("1 published", "1")
    assert fact(said, "deliveries") == "1 waiting, 1 retrying, 1 given up"
    assert fact(said, "inbound events") == "2 waiting, 1 failed"
    assert [fact(said, f"{kind}webhooks") for kind in ("", "disabled ", "paused ")] == ["3", "1", "1"]
    assert fact(said, "last pass did") == "3 delivered, 2 to be retried, 1 given up"
    assert f"\nA pass ended 1 minute ago after 0.0 seconds: {fact(said, 'last pass did')}.\n" in said


def test_it_names_the_webhooks_that_fail_and_what_waits_for_them(shell: Shell) -> None:
    factories.past_pass(MINUTE, ended=True)
    assert fact(shell("status"), "healthy") == "yes"
    since = {"failing_since": clock.now() - 61 * MINUTE, "failures_in_a_row": 17}
    bad = factories.webhook(name="Cash desk", **since)
    for _ in range(17):
        factories.delivery(bad, attempts=3, claims=3, due_at=clock.now() + 6 * MINUTE)
    off = {"disabled_at": clock.now(), "disabled_reason": "by_hand"}
    factories.webhook(name="Off", **off)
    said = unhealthy(shell)
    assert (fact(said, "failing webhooks"), fact(said, "healthy")) == ("1", "no")
    assert said.endswith(
        "\nWebhook Cash desk: Failing for 1 hour (17 failures in a row); next probe in 6 minutes. "
        f"Its 17 deliveries wait for it.\nSee why: {installation.typed('doctor')}\n"
    )
    facts = json.loads(unhealthy(shell, "--json"))
    [named] = facts["webhooks_that_fail"]
    assert (named["id"], named["state"], named["waiting"], facts["well"]) == (bad, "failing", 17, False)
    assert shell("webhooks", "disable", bad)
    assert fact(shell("status"), "healthy") == "yes", "its owner knows"


def test_a_webhook_is_healthy_after_its_first_delivery(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url(), name="Chat")
    assert fact(shell("status"), "webhooks not tried yet") == "1"
    assert "  not tried yet  " in shell("webhooks", "list")
    factories.sign()
    factories.run_pass()
    assert fact(shell("status"), "webhooks not tried yet") == "0"
    assert "  healthy  " in shell("webhooks", "list")


@pytest.mark.parametrize(
    ("ago", "did"),
    [(3, "running for 3 s"), (125, "running for 2 minutes"), (1200, "running for 20 minutes, or killed")],
)
def test_a_pass_that_is_at_work_says_for_how_long(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, ago: int, did: str
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    factories.past_pass(timedelta(seconds=ago), ended=False)
    assert fact(shell("status"), "last pass did") == did


def test_a_book_to_which_cron_has_never_come_is_a_fault_when_something_waits(shell: Shell) -> None:
    hook = factories.webhook()
    factories.delivery(hook, due_at=clock.now() - 14 * MINUTE)
    assert fact(shell("status"), "healthy") == "no"
    factories.delivery(hook, due_at=clock.now() - 16 * MINUTE)
    assert "Cron has never come" in unhealthy(shell)


def test_cron_that_comes_no_more_is_a_fault(shell: Shell) -> None:
    factories.past_pass(60 * MINUTE, ended=True)
    assert fact(unhealthy(shell), "healthy") == "no"


def test_it_counts_to_an_end_and_the_json_counts_all(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 2)
    hook = factories.webhook()
    for status in (*["processed"] * 4, "failed"):
        factories.delivery(hook, status=status)
    assert fact(shell("status"), "deliveries") == "more than 2 delivered, 1 given up"
    for _ in range(3):
        factories.delivery(hook, attempts=1, claims=1)
    assert fact(shell("status"), "deliveries").startswith("more than 2 waiting or retrying, ")
    assert shell.json("status")["deliveries"] == {"new": 3, "processed": 4, "failed": 1}


def test_the_json_has_numbers(shell: Shell) -> None:
    factories.webhook()
    factories.sign()
    facts = shell.json("status")
    assert set(facts) == FACTS
    assert (facts["comments"], facts["deliveries"]) == ({"published": 1}, {"new": 1})
    assert (facts["webhooks"], facts["well"], facts["last_pass"]) == (1, False, None)
    assert facts["oldest_due_seconds"] in (0, 1)


@pytest.mark.parametrize(("query", "mode"), [("", "wal"), ("?journal_mode=delete", "delete")])
def test_it_says_which_journal_it_is(forked: Process, environ: dict[str, str], query: str, mode: str) -> None:
    url = f"sqlite:///{environ['GUESTBOOK_DATA_DIR']}/other.db{query}"
    assert forked("init-db", DATABASE_URL=url)[0] == 0
    code, said, _ = forked("status", DATABASE_URL=url)
    assert (code, fact(said, "journal mode")) == (0, mode)


def test_status_says_that_nothing_can_be_stored(shell: Shell) -> None:
    shell("status")  # opens the database, whose files beside it are made now
    with full_disk():
        said = unhealthy(shell)
    assert (fact(said, "can be written"), fact(said, "healthy")) == ("no", "no")
    assert "\nNothing can be stored now: disk I/O error. So nothing is sent.\n" in said


def test_it_says_how_long_the_oldest_held_comment_has_waited(shell: Shell) -> None:
    assert fact(shell("status"), "oldest held seconds") == "-"
    for _ in range(2):
        factories.sign(verdict=Classification("held", ("It holds 9 links.",)))
    with database.write(db.engine) as connection:
        oldest = select(func.min(Hold.comment_id)).scalar_subquery()
        ago = clock.now() - timedelta(hours=5)
        connection.execute(update(Hold).where(Hold.comment_id == oldest).values(held_at=ago))
    assert 5 * 3600 <= int(fact(shell("status"), "oldest held seconds")) < 6 * 3600


def test_warnings_alone_are_no_failure_and_each_says_what_to_do(shell: Shell) -> None:
    said = shell("doctor")
    assert said.startswith("warning  ")
    for words in ("\n         What to do: ", "* * * * * ", "\nok       database: ", "\n0 problems and "):
        assert words in said


def test_a_problem_comes_first_and_is_exit_code_1(shell: Shell) -> None:
    factories.webhook()  # and cron never came
    result = shell.result("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("problem  cron: Cron has never come, so nothing is sent.\n")
    assert result.stdout.splitlines()[-1].startswith("1 problem and ")


def test_the_document_has_the_same(shell: Shell) -> None:
    document, printed = shell.json("doctor"), shell("doctor")
    assert document["state"] == "warning"
    for finding in document["findings"]:
        assert tuple(finding) == ("subject", "state", "sentence", "advice", "command")
        assert f"{finding['subject']}: " in printed


def test_names_of_strangers_cannot_obey_the_terminal(shell: Shell) -> None:
    factories.webhook(name="a\x1b[2Jb", failures_in_a_row=1, disabled_at=None, failing_since=None)
    with writing() as session:
        session.connection().exec_driver_sql("UPDATE webhooks SET failing_since = created_at")
    assert "webhook a [2Jb" in shell.result("doctor").stdout


@pytest.mark.parametrize("program", [("flask", "--app", "guestbook"), ("guestbook",)])
def test_what_is_missing_is_found_and_not_made(program: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GUESTBOOK_DATA_DIR": str(folder)}
    command = (str(Path(FLASK).with_name(program[0])), *program[1:], "doctor", "--json")
    for is_there in (False, True)[: len(program)]:  # once by the program that has no Flask before it
        done = run(*command, env=env, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        found = json.loads(done.stdout)["findings"]
        bad = {one["subject"]: one["sentence"] for one in found if one["state"] == "problem"}
        assert [*bad] == ["database", *(() if is_there else ("data folder",)), "secret key"]
        assert bad["secret key"] == f"There is no secret key: {folder}/secret_key is missing."
        assert bad["database"] == f"There is no file {folder}/guestbook.db."
        assert list(tmp_path.rglob("*")) == ([folder] if is_there else [])
        folder.mkdir(exist_ok=True)
