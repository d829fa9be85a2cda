"""What commands show of the log: text for people, JSON for log collectors. A full disk stops no pass."""

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from guestbook.cli import terminal_log
from guestbook.storage.database import db
from tests.cli.conftest import FLASK, Process
from tests.cli.test_init_db import AWAY
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Answer, Receiver

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
    assert (code, complained) == (0, "")
    attempt, summary = lines(said)
    assert (attempt["level"], attempt["logger"]) == ("info", "guestbook.outbound.dispatcher")
    assert (attempt["delivery_id"], attempt["webhook_id"]) == (factories.one().id, hook)
    assert (attempt["event"], attempt["attempt"], attempt["status_code"]) == ("comment.created", 1, 200)
    assert summary["message"] == "Processed 1, to be retried 0, given up 0."
    assert (summary["processed"], summary["retried"], summary["given_up"]) == (1, 0, 0)
    assert "hunter2" not in said


def test_without_v_json_has_the_warnings_alone_on_stderr(forked: Process, hook: str) -> None:
    for _ in range(2):
        factories.sign()
        code, said, complained = forked("cron", LOG_FORMAT="json")
        assert (code, said) == (0, "")
    [warning] = lines(complained)
    assert (warning["level"], warning["webhook_id"], warning["deliveries"]) == ("warning", hook, 1)
    assert str(warning["message"]).startswith("1 delivery was given up for webhook Chat. See: ")
    assert "hunter2" not in complained


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


def test_a_command_leaves_the_log_as_it_was(app: Flask) -> None:
    root, ours = logging.getLogger(), logging.getLogger("guestbook")
    before = list(root.handlers), ours.level
    app.test_cli_runner().invoke(args=["cron", "-v"])
    assert (root.handlers, ours.level) == before


@pytest.mark.parametrize("library", ["psycopg", "sqlalchemy.pool"])
def test_what_a_library_logs_of_a_lost_connection_is_not_shown_beside_the_sentence(
    library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger(library)
    level = logger.level
    try:
        with terminal_log.shown("text"):
            logger.warning("error ignored terminating a pipeline")
            logging.getLogger("guestbook.test").warning("a sentence")
    finally:
        logger.setLevel(level)
    assert capsys.readouterr().err == "guestbook: a sentence\n"
