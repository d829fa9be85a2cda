"""What is printed: short ids, relative times, colours, lines that fit; and the log, as text or JSON."""

import json
import logging
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import wcwidth
from flask import Flask

from guestbook.cli import options, output
from guestbook.lib import clock
from guestbook.storage.database import db
from tests.cli.conftest import FLASK, Process, Shell, Terminal
from tests.cli.test_init_db import AWAY
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Answer, Receiver

WIDE = ["漢字の掲示板", "👩‍👩‍👧‍👦 family", "e\u0301cole", "한국어", "❤️ heart", "नमस्ते", "plain"]
HOSTILE = "\x1b]0;title\x07\x9b31m\u202eback\r\nline"
COLOUR = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let commands in this process take standard output for a terminal of a hundred columns."""
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return monkeypatch


def widest(printed: str) -> int:
    return max(wcwidth.wcswidth(line) for line in COLOUR.sub("", printed).splitlines())


def fill_book() -> str:
    """Store a row of each list with long and hostile texts, and return the id of the delivery."""
    factories.sign(HOSTILE * 50, name="ए" * 60)
    webhook_id = factories.webhook(name="漢" * 40, url=f"https://receiver.example/{'x' * 300}")
    source_id = factories.source(name="n" * 80)
    factories.inbound(source_id, status="failed", error=HOSTILE * 9, sender="s" * 60, event="e" * 60)
    long_error = "The receiver could not be reached. " * 9
    return factories.delivery(webhook_id, status="failed", last_error=long_error, event="webhook.recovered")


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
def test_every_list_fits_the_terminal_and_a_wider_one_shows_more(
    shell: Shell, wide_terminal: pytest.MonkeyPatch, columns: int
) -> None:
    fill_book()
    for noun in ("webhooks", "sources", "deliveries", "inbox", "comments"):
        wide_terminal.setenv("COLUMNS", str(columns))
        said = shell(noun, "list")
        assert columns - 1 <= widest(said) <= columns or noun == "sources", noun
        assert "\x1b" not in said


def test_at_80_columns_a_list_shows_what_its_rows_differ_in(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    wide_terminal.setenv("COLUMNS", "80")
    answers = (
        ({"status": "processed", "last_status_code": 200}, "delivered", "200"),
        ({"last_status_code": 500, "last_error": "The receiver answered 500."}, "retrying", "500"),
        ({"last_error": "The receiver did not answer in time."}, "retrying", "time-out"),
        ({"last_status_code": 200}, "retrying", "200"),  # It was delivered, and is to go out again.
        (
            {"status": "failed", "last_error": "The connection could not be made."},
            "given up",
            "no connection",
        ),
    )
    for number, (outcome, _, _) in enumerate(answers):
        url = f"http://127.0.0.1:9000/hooks/from-the-book/number-{number}"
        hook = factories.webhook(url, name=url, events="comment.created comment.published")
        later = {} if "status" in outcome else {"due_at": clock.now() + timedelta(minutes=27.1)}
        factories.delivery(hook, event="comment.published", attempts=3, claims=3, **later, **outcome)
    lines = shell("deliveries", "list").splitlines()[:0:-1]
    for number, (line, (_, status, answer)) in enumerate(zip(lines, answers, strict=True)):
        assert f"umber-{number}  {status} " in line
        assert line.endswith(f"  {answer}")
        assert ("in 27 minutes" in line) == (status == "retrying")
    urls = [line.split()[-1] for line in shell("webhooks", "list").splitlines()[1:]]
    assert [url[-8:] for url in urls] == [f"number-{number}" for number in range(len(answers))]


def test_a_delivery_for_a_disabled_webhook_is_not_due_on_a_terminal(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    assert wide_terminal
    factories.delivery(factories.webhook(name="Off", disabled_at=clock.now(), disabled_reason="by_hand"))
    factories.delivery(factories.webhook(name="On"))
    on, off = shell("deliveries", "list").splitlines()[1:]
    assert (on.split()[-2:], off.split()[-2:]) == (["now", "-"], ["disabled", "-"])


def test_a_terminal_gets_short_ids_and_relative_times_and_a_program_all_of_it(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    row_id = fill_book()
    [line] = shell("deliveries", "list").splitlines()[1:]
    assert (line.split()[0], line[-1]) == (row_id[-6:], "…")
    assert " just now " in shell("comments", "list")
    wide_terminal.undo()
    [line] = shell("deliveries", "list").splitlines()[1:]
    assert re.fullmatch(f"{row_id}  .*The receiver could not be reached.", line)
    assert clock.to_text(clock.now())[:13] in shell("comments", "list")


def test_states_have_colours_on_a_terminal_alone_unless_they_are_not_wanted(
    app: Flask, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app
    fill_book()
    code, said = terminal("deliveries", "list")
    assert (code, widest(said) <= 80) == (0, True)
    assert re.search("\x1b\\[31mgiven up *\x1b", said)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            assert "\x1b" not in terminal("deliveries", "list")[1], name


def test_show_has_groups_without_empty_rows_and_nothing_that_a_terminal_obeys(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    row_id = fill_book()
    said = shell("deliveries", "show", row_id)
    assert wide_terminal
    assert re.search("\n\nResult\nstatus +given up\n", said)
    assert " (just now)" in said
    assert not [absent for absent in ("None", " -\n", "claims", "\x1b") if absent in said]
    [comment_id] = shell.ids("comments", "list")
    said = shell("comments", "show", comment_id)
    assert ("\nMessage\n" in said, "Note to you" in said) == (True, False)
    assert not set(said) & set("\x1b\x07\x9b\u202e\r")


def test_columns_stand_under_one_another_whatever_the_names_are(shell: Shell) -> None:
    for name in WIDE:
        factories.webhook(name=name)
    heading, *lines = shell("webhooks", "list").splitlines()
    place = heading.index("STATE")
    assert len(lines) == len(WIDE)
    for line in lines:
        assert wcwidth.wcswidth(line.partition(" not tried yet")[0] + " ") == place, line


ABORT = Answer(400, headers={"webhook-delivery": "abort-message"})


@pytest.fixture
def hook(book: Book, receiver: Receiver) -> str:
    receiver.answer("/hook?token=hunter2", Answer(200), ABORT)
    return book.webhook(receiver.url("/hook?token=hunter2"), name="Chat", headers={"X-Token": "hunter2"})


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_one_object_a_line_with_fields_and_without_secrets(forked: Process, hook: str) -> None:
    factories.sign()
    code, said, complained = forked("cron", "-v", LOG_FORMAT="json")
    assert (code, complained, "hunter2" in said) == (0, "", False)
    attempt, summary = lines(said)
    sent = {"delivery_id": factories.one().id, "webhook_id": hook, "event": "comment.created"}
    logger = {"level": "info", "logger": "guestbook.outbound.delivery_dispatcher"}
    assert attempt.items() >= {**logger, **sent, "attempt": 1, "status_code": 200}.items()
    counts = {"processed": 1, "retried": 0, "given_up": 0}
    assert summary.items() >= {"message": "Processed 1, to be retried 0, given up 0.", **counts}.items()


def test_without_v_json_has_the_warnings_alone_on_stderr(forked: Process, hook: str) -> None:
    for _ in range(2):
        factories.sign()
        code, said, complained = forked("cron", LOG_FORMAT="json")
        assert (code, said, "hunter2" in complained) == (0, "", False)
    [warning] = lines(complained)
    assert (warning["level"], warning["webhook_id"], warning["deliveries"]) == ("warning", hook, 1)
    assert str(warning["message"]).startswith("1 delivery was given up for webhook Chat. See: ")


@pytest.mark.needs("postgresql")
def test_the_end_of_a_command_without_its_database_is_json_too(forked: Process) -> None:
    code, said, complained = forked("cron", LOG_FORMAT="json", DATABASE_URL=AWAY["postgresql"])
    assert (code, said) == (75, "")
    [error] = lines(complained)
    assert error["level"] == "error"
    assert str(error["message"]).startswith("The database cannot be used now: ")


@pytest.mark.usefixtures("hook")
def test_a_full_disk_under_stderr_changes_no_exit_code(environ: dict[str, str]) -> None:
    for _ in range(2):
        factories.sign()
    db.session.remove()
    with Path("/dev/full").open("w") as full:
        command = [FLASK, "--app", "guestbook", "cron"]
        env = {"PATH": os.environ["PATH"], **environ}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, env=env, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
    assert sorted(row.status for row in factories.deliveries()) == ["failed", "processed"]


@pytest.mark.parametrize("library", ["psycopg", "sqlalchemy.pool"])
def test_what_a_library_logs_of_a_lost_connection_is_not_shown_beside_the_sentence(
    library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger(library)
    level = logger.level
    try:
        with options.log_shown("text"):
            logger.warning("error ignored terminating a pipeline")
            logging.getLogger("guestbook.test").warning("a sentence")
    finally:
        logger.setLevel(level)
    assert capsys.readouterr().err == "guestbook: a sentence\n"
