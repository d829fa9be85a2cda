"""Health: something has been due for a quarter of an hour, and no pass has ended."""

import dataclasses
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from guestbook.lib import clock, ids
from guestbook.queries import health
from guestbook.queries.health import Health
from guestbook.settings import CHECKOUT, load
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Pass
from tests.support import factories

MINUTE = timedelta(minutes=1)


def came(ago: timedelta, *, ended: bool = True, **did: int) -> None:
    """Let a pass have come so long ago."""
    db.session.rollback()
    started = clock.now() - ago
    done = {"processed": 0, "retried": 0, "failed": 0, **did}
    with database.write(db.engine) as connection:
        row = {"id": ids.new(), "started_at": started, "host": "here", **done}
        connection.execute(insert(Pass).values(**row, finished_at=started if ended else None))


def read() -> Health:
    db.session.rollback()
    return health.read(db.session(), clock.now())


@pytest.mark.parametrize(
    ("last_pass", "oldest_due", "well"),
    [
        (None, None, True),
        (10**6, None, True),
        (None, 899, True),
        (None, 900, False),
        (899, 10**6, True),
        (900, 10**6, False),
        (900, 899, True),
    ],
)
def test_it_is_well_unless_something_waits_and_cron_does_not_come(
    last_pass: float | None, oldest_due: float | None, well: bool
) -> None:
    assert Health(last_pass, oldest_due).is_well is well


@pytest.mark.usefixtures("each_app")
def test_a_new_book_is_well() -> None:
    assert read() == Health(None, None)


@pytest.mark.usefixtures("each_app")
def test_it_tells_the_ages_of_the_last_pass_and_of_what_waits_longest() -> None:
    hook, other = factories.webhook(), factories.webhook()
    came(40 * MINUTE)
    came(20 * MINUTE)
    for webhook_id, minutes in ((hook, 10), (other, 30), (other, -30)):
        factories.delivery(webhook_id, due_at=clock.now() - minutes * MINUTE)
    factories.delivery(hook, status="failed", created_at=clock.now() - 90 * MINUTE)
    state = read()
    assert state.last_pass_age == pytest.approx(20 * 60, abs=10)
    assert state.oldest_due_age == pytest.approx(30 * 60, abs=10)
    assert not state.is_well


@pytest.mark.usefixtures("each_app")
def test_what_waits_for_a_disabled_or_paused_webhook_does_not_count() -> None:
    now = clock.now()
    disabled = factories.webhook(disabled_at=now, disabled_reason="by_hand")
    paused = factories.webhook(paused_until=now + MINUTE)
    for hook in (disabled, paused):
        factories.delivery(hook, due_at=now - 60 * MINUTE)
    assert read().oldest_due_age is None
    over = factories.webhook(paused_until=now - MINUTE)
    factories.delivery(over, due_at=now - 30 * MINUTE)
    assert read().oldest_due_age == pytest.approx(30 * 60, abs=10)


@pytest.mark.usefixtures("app")
def test_a_pass_that_a_clock_put_in_the_future_does_not_count() -> None:
    came(30 * MINUTE)
    came(-20 * MINUTE)
    assert read().last_pass_age == pytest.approx(30 * 60, abs=10)


@pytest.mark.usefixtures("each_app")
def test_passes_that_start_and_never_end_are_no_sign_of_life() -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - 20 * MINUTE)
    came(16 * MINUTE)
    for minutes in range(15):
        came(minutes * MINUTE, ended=False)
    assert not read().is_well
    came(timedelta())
    assert read().is_well


@pytest.mark.usefixtures("app")
def test_a_long_pass_that_still_runs_is_well_while_nothing_waits_long() -> None:
    came(600 * MINUTE, ended=False)
    factories.delivery(factories.webhook(), due_at=clock.now() - 14 * MINUTE)
    assert read().is_well


def cron() -> health.Cron:
    db.session.rollback()
    return health.cron(db.session(), clock.now())


@pytest.mark.usefixtures("each_app")
def test_cron_that_has_never_come_is_said_with_what_to_do() -> None:
    assert cron().word == "never"
    assert "crontab -e" in str(cron().advice)


@pytest.mark.usefixtures("each_app")
def test_the_last_pass_is_told_in_plain_words() -> None:
    came(2 * MINUTE, processed=99)
    came(timedelta(seconds=59), processed=1200, retried=1)
    assert (cron().word, cron().advice) == ("well", None)
    assert re.fullmatch(
        r"A pass ended (59 seconds|1 minute) ago after 0.0 seconds: 1,200 delivered, 1 to be retried.",
        cron().sentence,
    )


@pytest.mark.usefixtures("app")
def test_a_pass_with_nothing_to_do_says_so_and_how_long_it_took() -> None:
    came(timedelta(seconds=50))
    with database.write(db.engine) as connection:
        connection.execute(update(Pass).values(finished_at=clock.now() - timedelta(seconds=8)))
    assert re.search(r"ended (8|9) seconds ago after 42 seconds: nothing was due.$", cron().sentence)


@pytest.mark.usefixtures("app")
def test_a_pass_that_is_at_work_just_now_is_said_beside_the_last_that_ended() -> None:
    came(MINUTE, failed=2)
    came(timedelta(seconds=5), ended=False)
    assert cron().word == "running"
    assert re.match(r"A pass is at work; it began [5-7] seconds ago. A pass ended 1 minute", cron().sentence)


@pytest.mark.usefixtures("app")
def test_a_pass_that_began_long_ago_may_have_been_killed() -> None:
    came(180 * MINUTE, ended=False)
    assert cron().word == "running"
    assert "began 3 hours ago and has not come to its end" in cron().sentence


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("ended", [True, False])
def test_when_deliveries_have_been_due_for_long_cron_is_late(ended: bool) -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - 20 * MINUTE)
    came(16 * MINUTE, ended=ended)
    assert cron().word == "late"
    assert cron().sentence.startswith("Deliveries are due, and no pass of cron")
    assert "crontab -l" in str(cron().advice)


@pytest.mark.usefixtures("app")
def test_cron_that_stays_away_is_late_even_when_nothing_waits() -> None:
    came(16 * MINUTE)
    assert cron().word == "late"
    assert cron().sentence.endswith("Nothing has had to wait so far.")


def test_the_line_for_crontab_names_this_very_installation(tmp_path: Path) -> None:
    folder = tmp_path / "100 % mine"
    settings = load({"GUESTBOOK_DATA_DIR": str(folder)})
    line = health.crontab_line(settings)
    assert line.startswith("* * * * * GUESTBOOK_DATA_DIR='")
    assert line.endswith("/bin/flask --app guestbook cron")
    assert "100 \\% mine'" in line  # cron takes a bare % for the end of the command
    command = line.removeprefix("* * * * * ").replace("\\%", "%").replace(" cron", " init-db")
    bare = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={tmp_path}", "sh", "-c", command]
    assert subprocess.run(bare, cwd=tmp_path, timeout=60).returncode == 0
    assert (folder / "guestbook.db").exists()


def test_the_line_for_crontab_names_no_folder_where_the_default_holds(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        load({"GUESTBOOK_DATA_DIR": str(tmp_path)}), data_dir=CHECKOUT / "instance"
    )
    assert health.crontab_line(settings) == f"* * * * * {sys.prefix}/bin/flask --app guestbook cron"
