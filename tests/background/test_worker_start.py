"""A Celery worker does not start on a book of another version."""

import os
import sys
from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage import database
from guestbook.storage.database import db
from tests.conftest import run
from tests.support.processes import ROOT

NOBODY = "amqp://nobody@127.0.0.1:1/"  # a worker looks at the version before it connects


@pytest.mark.parametrize(("version", "word"), [("0005", "older"), ("9999", "newer")])
def test_a_worker_refuses_to_start_with_one_sentence(
    app: Flask, environ: dict[str, str], version: str, word: str
) -> None:
    pytest.importorskip("celery")
    with app.app_context(), database.write(db.engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    celery = str(Path(sys.executable).with_name("celery"))
    env = {"PATH": os.environ["PATH"], "HOME": environ["GUESTBOOK_DATA_DIR"], **environ}
    command = (celery, "--app", "guestbook.worker", "worker", "--pool", "solo")
    done = run(*command, env=env | {"GUESTBOOK_BROKER_URL": NOBODY}, cwd=ROOT)
    assert done.returncode == 1, done
    assert f"Error: The tables are {word} than the program." in done.stderr
    assert "Traceback" not in done.stderr
