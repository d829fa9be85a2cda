"""A Celery worker does nothing on a book of another version, nor beside another host over one SQLite file."""

import json
import os
import sys
from pathlib import Path

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from tests.conftest import run, running, settings_for
from tests.support.forks import Forks
from tests.support.processes import ROOT

pytest.importorskip("celery")

NOBODY = "amqp://nobody@127.0.0.1:1/"  # a worker looks at the book before it connects
A_MESSAGE = """
from celery.exceptions import Reject
from guestbook import worker
from guestbook.lib import ids
worker.WAIT_BEFORE_RETURN = 0
{before}
try:
    print(worker.deliver(ids.new(), worker.DELIVER))
except Reject as error:
    print(error.reason, error.requeue)
"""
ALL_BUSY = """
from sqlalchemy.exc import TimeoutError
def fail():
    raise TimeoutError("QueuePool limit of size 5 overflow 10 reached")
worker._delivery_consumer = fail
"""


def get_message(environ: dict[str, str], before: str = "") -> tuple[int, str, str]:
    """Let a worker have a message; return its exit code, what it does with it, and its complaint."""
    env = {"PATH": os.environ["PATH"], "HOME": environ["GUESTBOOK_DATA_DIR"], **environ}
    code = A_MESSAGE.format(before=before)
    done = run(sys.executable, "-c", code, env=env | {"GUESTBOOK_BROKER_URL": NOBODY}, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def start_worker(environ: dict[str, str], forks: Forks) -> tuple[int, str]:
    """Start a worker that ends by itself; return its exit code and what it says."""
    done = forks.start_celery(environ | {"GUESTBOOK_BROKER_URL": NOBODY}, "worker", "--pool", "solo")
    return done.wait(), done.printed


@pytest.mark.parametrize(
    ("version", "why"), [("0023", "from before version 0024"), ("0024", "older than"), ("9999", "newer than")]
)
def test_a_worker_refuses_to_start_with_one_sentence(
    app: Flask, environ: dict[str, str], forks: Forks, version: str, why: str
) -> None:
    with app.app_context(), database.write(db.engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    code, said = start_worker(environ, forks)
    assert code == 1
    assert f"Error: The tables are {why}" in said
    assert "Traceback" not in said


def test_a_message_comes_again_if_all_connections_were_busy_for_too_long(environ: dict[str, str]) -> None:
    code, said, complaint = get_message(environ, ALL_BUSY)
    assert (code, said) == (0, "it comes again True\n")
    assert "The database cannot be used now (TimeoutError)." in complaint


def test_beside_another_host_a_worker_returns_messages(tmp_path: Path, forks: Forks) -> None:
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    with running(environ):  # which makes the tables
        assert get_message(environ)[:2] == (0, "None\n")
    notes = list(tmp_path.glob("guestbook.db-host-*"))
    assert len(notes) == 1, "it has noted its own host"
    seen = {"web server": clock.to_text(clock.now())}
    note = {"name": "elsewhere", "boot_id": "another kernel", "seen": seen}
    (tmp_path / "guestbook.db-host-123456789abc").write_text(json.dumps(note))
    code, said = start_worker(environ, forks)
    assert code == 1
    assert "Error: Two hosts use one SQLite file, " in said
    assert "Traceback" not in said
    code, said, complaint = get_message(environ)
    assert (code, said) == (0, "it comes again True\n")
    assert "elsewhere came first, so this host only reads until " in complaint
