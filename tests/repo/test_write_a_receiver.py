"""The receiver of the guide stores what the book sends once, and nothing that others send."""

import sqlite3
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner

from tests.support import factories, processes
from tests.support.documents import blocks, read

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    """Start the guide's program, and give its URL."""
    (verify,) = blocks(read("howto/verify-a-signature"), "python")
    (program,) = blocks(read("howto/write-a-receiver"), "python")
    port = str(processes.free_port())
    (tmp_path / "verify.py").write_text(verify)
    (tmp_path / "receiver.py").write_text(program.replace("9000", port))
    environ = processes.clean_environ(WEBHOOK_SECRET=SECRET)
    url = f"http://127.0.0.1:{port}/"
    with processes.started([sys.executable, "-W", "error", "receiver.py"], cwd=tmp_path, env=environ) as run:
        processes.wait_for(lambda: _listens(url), 20, run.output)
        yield url
        assert "Traceback" not in run.output()


def _listens(url: str) -> bool:
    try:
        return processes.fetch(url)[0] == 501  # it takes no GET
    except (urllib.error.URLError, ConnectionError):
        return False


def test_the_receiver_of_the_guide_stores_each_webhook_once(
    runner: FlaskCliRunner, receiver: str, tmp_path: Path
) -> None:
    factories.webhook(receiver, secret=SECRET)
    factories.sign("Grüße from the book")
    factories.run_pass()
    sent = factories.one()
    assert (sent.status, sent.last_status_code) == ("processed", 204)
    assert runner.invoke(args=["deliveries", "redeliver", sent.id]).exit_code == 0
    factories.run_pass()
    assert (factories.one().status, len(factories.attempts(sent.id))) == ("processed", 2)
    assert processes.fetch(receiver, {"forged": "yes"})[0] == 401
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as inbox:
        rows = inbox.execute("SELECT id, body, done_at FROM inbox").fetchall()
    assert rows == [(sent.event_id, sent.payload, None)]
