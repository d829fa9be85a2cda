"""Every line of crontab.example does its work as cron runs it: by sh, with nothing but PATH and HOME.

The lines of run-cron are among them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

import guestbook
from guestbook.lib import clock
from guestbook.outbound import webhooks
from guestbook.storage import backup, database
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook
from tests.support.receiver import Receiver

EXAMPLE = Path(__file__).parents[2] / "crontab.example"
FIELD = r"[\d*/,-]+"
SCHEDULED = re.compile(rf"(?m)^(?:# )?((?:{FIELD} ){{5}})(/\S.*)$")  # a line of a crontab
BARE = re.compile(r"(?m)^# {5}(/\S.*)$")  # a command for hosts that have tasks instead
PLACEHOLDER = "/path/to/guestbook/.venv"
BACKUPS = "/path/to/backups"
BY_NAME = "/home/you/.local"  # where pipx puts the program

text = EXAMPLE.read_text()
commands = [found.group(2) for found in SCHEDULED.finditer(text)] + BARE.findall(text)
pruning = [command for command in commands if command.endswith(" prune")]
relaying = [command for command in commands if " relay" in command]  # tests/background/celery runs these
backing_up = [command for command in commands if " backup " in command]
sending = [command for command in commands if command not in (*pruning, *relaying, *backing_up)]
# One of those that differ in a number alone: each starts Python.
sending = list({re.sub(r"\d+", "N", command): command for command in sending}.values())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, which is where cron starts a command; its .env names the data folder."""
    folder = tmp_path / "home"
    (folder / "guestbook").mkdir(parents=True)  # as a checkout there would be; it must not hide the package
    (folder / ".env").write_text(f"GUESTBOOK_DATA_DIR='{tmp_path / 'data'}'\n")
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    data = tmp_path / "data"
    data.mkdir()
    (data / ".env").write_text("GUESTBOOK_ALLOW_NETWORKS=127.0.0.0/8\n")
    app = guestbook.create_app({"GUESTBOOK_DATA_DIR": str(data)})
    with app.app_context():
        database.create_tables(db.engine)
        yield app
        db.session.remove()
        db.engine.dispose()


def test_the_first_line_is_the_one_that_everybody_needs() -> None:
    assert SCHEDULED.search(text)
    assert commands[0] == f"{PLACEHOLDER}/bin/flask --app guestbook cron"
    active = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert active == [f"* * * * * {commands[0]}"]


def test_no_line_with_a_command_is_overlooked_here() -> None:
    places = text.count(PLACEHOLDER) + text.count(BY_NAME)
    assert len(commands) == places - text.count(f"ExecStart={PLACEHOLDER}")


@pytest.mark.parametrize("command", sending)
def test_a_line_sends_and_prints_nothing(command: str, app: Flask, home: Path, receiver: Receiver) -> None:
    ping(app, receiver.url("/hook"), "Größe 💌")
    as_cron(command, home)
    assert [request.json["data"]["webhook"]["name"] for request in receiver.requests] == ["Größe 💌"]
    assert db.session.scalars(select(Delivery.status)).all() == ["processed"]


@pytest.mark.parametrize("command", pruning)
def test_the_nightly_line_removes_old_rows(command: str, app: Flask, home: Path, receiver: Receiver) -> None:
    ping(app, receiver.url("/hook"), "Ada")
    ping(app, receiver.url("/hook"), "Bea")
    old = clock.now() - timedelta(days=31)
    first = select(Delivery.id).order_by(Delivery.id).limit(1).scalar_subquery()
    with writing() as session:
        values = {"status": "processed", "due_at": None, "finished_at": old}
        session.execute(update(Delivery).where(Delivery.id == session.scalar(select(first))).values(**values))
    as_cron(command, home)
    assert db.session.scalars(select(Delivery.status)).all() == ["new"]
    assert receiver.requests == []


@pytest.mark.parametrize("command", backing_up)
def test_the_line_for_backups_keeps_some(command: str, app: Flask, home: Path, receiver: Receiver) -> None:
    ping(app, receiver.url("/hook"), "Ada")
    backups = home / "backups"
    backups.mkdir()
    older = [backups / f"book-2026010{day}T032000Z.db" for day in range(1, 10)]
    backup.write(app.config["GUESTBOOK"], older[0])
    for path in older[1:]:
        path.write_bytes(older[0].read_bytes())
    as_cron(command.replace(BACKUPS, str(backups)), home)
    *kept, newest = sorted(backups.iterdir())
    assert kept == older[-6:]
    assert backup.verify(newest, newest).tables["deliveries"].rows == 1
    assert receiver.requests == []


def test_a_schedule_has_five_fields_within_their_bounds_and_a_line_ends_before_the_second_run_after_it() -> (
    None
):
    for schedule, command in SCHEDULED.findall(text):
        fields = schedule.split()
        for field, most in zip(fields, (59, 23, 31, 12, 7), strict=True):
            assert all(int(number) <= most for number in re.findall(r"\d+", field))
        if found := re.fullmatch(r"\*(?:/(\d+))?", fields[0]):
            seconds = re.search(r"--max-seconds (\d+)", command)
            assert (int(seconds[1]) if seconds else 50) < 60 * int(found[1] or 1)


def ping(app: Flask, url: str, name: str) -> None:
    """Store a delivery that is due."""
    with writing() as session:
        settings = app.config["GUESTBOOK"]
        webhook = session.scalars(select(Webhook).where(Webhook.name == name)).one_or_none()
        webhook = webhook or webhooks.add(session, {"url": url, "name": name}, settings)
        webhooks.store_sample(session, webhook, settings)


def as_cron(command: str, home: Path) -> None:
    """Run a line as cron does; one that stays is given two seconds instead of its minute or day.

    It must succeed and print nothing.
    """
    line = command.replace(PLACEHOLDER, sys.prefix).replace(BY_NAME, sys.prefix)
    if "--stay" in line:
        line = re.sub(r"--max-seconds \d+", "--max-seconds 2", line)
    bare = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={home}", "sh", "-c", line]
    ended = subprocess.run(bare, cwd=home, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
