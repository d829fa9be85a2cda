"""A pass with nothing to do ends without an application; whatever there is to do goes to the whole pass."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from guestbook.background import cron, idle_pass, retention_rules
from guestbook.lib import clock, ids, pass_lock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import (
    AuditEntry,
    Bin,
    BinRequest,
    Comment,
    Hold,
    IdempotencyKey,
    Limit,
    Login,
    Pass,
    ReceiverLink,
    Refusal,
    SeenSignature,
)
from tests.conftest import running, settings_for
from tests.support import factories

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HEAVY = {"sqlalchemy", "flask_sqlalchemy", "requests", "urllib3", "jsonschema", "waitress", "celery", "babel"}
ROOMS = {"web", "inbound", "comments", "outbound", "queue", "queries", "auth", "transport"}


@pytest.fixture(autouse=True)
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A book on SQLite that a whole pass has just tidied."""
    noon = clock.now().replace(hour=12, minute=30)
    monkeypatch.setattr(clock, "now", lambda: noon)  # no hour ends during a test
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    with running(environ) as app, app.app_context():
        cron.run(db.engine, factories.settings(), cron.Options())
        yield environ
        db.session.remove()


def is_idle(**changes: object) -> bool:
    return idle_pass.run(replace(factories.settings(), **changes))  # type: ignore[arg-type]  # by name


def passes() -> list[Pass]:
    db.session.rollback()
    return list(db.session.scalars(select(Pass).order_by(Pass.id)))


def test_a_pass_with_nothing_to_do_leaves_its_row_as_a_whole_one_does() -> None:
    assert is_idle()
    assert is_idle()
    whole, *idle = passes()
    for row in idle:
        assert row.finished_at >= row.started_at >= whole.started_at
        assert (row.host, row.processed, row.retried, row.failed) == (whole.host, 0, 0, 0)
    assert len(idle) == 2


def test_what_no_pass_can_act_on_now_keeps_a_pass_idle() -> None:
    now = clock.now()
    factories.delivery(factories.webhook(disabled_at=now, disabled_reason="gone"))
    factories.delivery(factories.webhook(paused_until=now + MINUTE))
    factories.delivery(factories.webhook(), due_at=now + MINUTE, attempts=1, claims=1)
    factories.inbound(factories.source(disabled_at=now))
    factories.delivery(factories.webhook(), status="processed", finished_at=now)
    assert is_idle()


def delivery(**values: object) -> None:
    factories.delivery(factories.webhook(), **values)


def old(days: int, **values: object) -> None:
    delivery(finished_at=clock.now() - days * DAY, **values)


def inbound(**values: object) -> None:
    factories.inbound(factories.source(), **values)


def store(model: type, **values: object) -> None:
    with database.write(db.engine) as connection:
        connection.execute(insert(model).values(**values))


def bin_request() -> None:
    times = {"created_at": clock.now(), "received_at": clock.now() - 8 * DAY}
    shared = {"id": ids.new(), "name": "b", "token": "t", "answer_status": 200, "answer_body": ""}
    store(
        Bin, **shared, answer_type="", delay_milliseconds=0, failures_left=0, created_at=times["created_at"]
    )
    request = {"bin_id": shared["id"], "method": "GET", "path": "", "query": "", "headers": "[]", "body": ""}
    more = {"encoding": "text", "size": 0, "answered": 200, "received_at": times["received_at"]}
    with database.write(db.engine) as connection:
        table = BinRequest.__table__
        connection.execute(insert(table).values(id=ids.new(), **request, **more))  # type: ignore[arg-type]  # mixed values


def refused() -> None:
    week_ago = clock.now() - 8 * DAY
    asks_for_proof = factories.source(verify="github", secret="s" * 24, unproven_bytes=9)
    values = {"id": ids.first_of(week_ago), "status": "failed", "processed_at": week_ago}
    factories.inbound(asks_for_proof, **values, unproven_bytes=9)


def budget() -> None:
    factories.source(unproven_bytes=7)


def disabled_webhook_with_an_old_delivery() -> None:
    hook = factories.webhook(disabled_at=clock.now(), disabled_reason="gone")
    factories.delivery(hook, due_at=clock.now() - 91 * DAY)


def disabled_source_with_an_old_event() -> None:
    factories.inbound(factories.source(disabled_at=clock.now()), due_at=clock.now() - 91 * DAY)


def login() -> None:
    past = clock.now() - MINUTE
    store(Login, id="x", browser="b", created_at=past, expires_at=past)


def limit() -> None:
    past = clock.now() - 2 * DAY
    store(Limit, who="x", hits=1, since=past, last_at=past)


def idempotency_key() -> None:
    store(IdempotencyKey, id="x", request="y", answer="z", created_at=clock.now() - 25 * timedelta(hours=1))


def seen_signature() -> None:
    store(SeenSignature, mark="x", event_id="y", seen_at=clock.now() - 31 * DAY)


def receiver_link() -> None:
    past = clock.now() - 31 * DAY
    store(ReceiverLink, id="x", webhook_id=factories.webhook(), name="Ada", expires_at=past)


def audit_entry() -> None:
    year_ago = clock.now() - 366 * DAY
    entry = {"id": ids.first_of(year_ago), "at": year_ago, "actor": "command", "action": "added"}
    store(AuditEntry, **entry, object="webhook", number=1)


def spam() -> None:
    past = clock.now() - 31 * DAY
    comment_id = ids.first_of(past)
    columns = {"name": "Eve", "message": "x", "status": "spam", "created_at": past, "spam_since": past}
    store(Comment, id=comment_id, **columns)


def refusal() -> None:
    day = clock.to_text(clock.now() - 92 * DAY)[:10]
    store(Refusal, id=f"{day} rate", day=day, reason="rate", number=1)


def hold(**values: object) -> None:
    store(Hold, comment_id=factories.sign(), held_at=clock.now(), **values)


def pass_at(distance: timedelta) -> None:
    at = clock.now() + distance
    store(Pass, id=ids.new(), started_at=at, host="h", processed=0, retried=0, failed=0)


WORK: dict[str, Callable[[], None]] = {
    "a due delivery": delivery,
    "a lease": lambda: delivery(due_at=clock.now() + MINUTE, claimed_by="x", claims=1),
    "a first attempt in the future": lambda: delivery(due_at=clock.now() + MINUTE),
    "a retry after years": lambda: delivery(due_at=clock.now() + 999 * DAY, attempts=1, claims=1),
    "a pause for years": lambda: factories.webhook(paused_until=clock.now() + 999 * DAY) and None,
    "an inbound event": inbound,
    "an inbound event under a lease": lambda: inbound(due_at=clock.now() + MINUTE, claimed_by="x", claims=1),
    "a source's budget": budget,
    "an old processed delivery": lambda: old(31, status="processed"),
    "an old failed delivery": lambda: old(91, status="failed"),
    "an old delivery of a disabled webhook": disabled_webhook_with_an_old_delivery,
    "an old processed event": lambda: inbound(status="processed", processed_at=clock.now() - 31 * DAY),
    "an old failed event": lambda: inbound(status="failed", processed_at=clock.now() - 91 * DAY),
    "an old event of a disabled source": disabled_source_with_an_old_event,
    "a refused event": refused,
    "an old comment of spam": spam,
    "an old count of refusals": refusal,
    "an old decision": lambda: hold(decided_at=clock.now() - 8 * DAY),
    "a held comment of which to remind": lambda: hold(remind_at=clock.now()),
    "a reminder after years": lambda: hold(remind_at=clock.now() + 999 * DAY),
    "an old pass": lambda: pass_at(-31 * DAY),
    "an old bin request": bin_request,
    "a login that is over": login,
    "an old rate limit": limit,
    "an old key of a request": idempotency_key,
    "an old signature": seen_signature,
    "an old link for a receiver": receiver_link,
    "an old entry of the audit log": audit_entry,
    "a pass in the future": lambda: pass_at(5 * MINUTE),
}


def test_the_table_of_work_has_all_that_retention_removes() -> None:
    assert len([name for name in WORK if name.startswith(("an old", "a refused", "a login"))]) == len(
        retention_rules.RULES
    )


@pytest.mark.parametrize("what", WORK)
def test_work_is_left_to_the_whole_pass(what: str) -> None:
    WORK[what]()
    before = len(passes())
    assert not is_idle()
    assert len(passes()) == before


def test_the_first_pass_of_an_hour_is_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    later = clock.now() + timedelta(minutes=31)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert not is_idle()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '0023'",
        "UPDATE alembic_version SET version_num = '9999'",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
    ],
)
def test_a_book_of_another_version_is_left_to_the_pass_that_says_so(change: str) -> None:
    with database.write(db.engine) as connection:
        connection.execute(text(change))
    assert not is_idle()


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be one" * 99])
def test_a_missing_or_broken_file_is_left_to_the_pass_that_says_so(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    assert not is_idle(database_url=f"sqlite:///{path}")
    assert path.exists() == (content is not None)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me@127.0.0.1:1/book", "sqlite:///guestbook.db?journal_mode=delete"]
)
def test_servers_and_databases_with_options_are_left_to_the_whole_pass(url: str) -> None:
    assert not is_idle(database_url=url)


def test_a_pass_beside_a_running_one_leaves_no_row(tmp_path: Path) -> None:
    with pass_lock.taken(tmp_path / pass_lock.PASS):
        assert is_idle()
    assert len(passes()) == 1


def test_a_writer_that_does_not_end_is_left_to_the_pass_that_waits_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_pass, "LOCK_WAIT", 0.01)
    with closing(sqlite3.connect(tmp_path / "guestbook.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not is_idle()


@pytest.mark.parametrize(
    ("main", "words"),
    [("flask.cli import main", ["flask", "--app", "guestbook"]), ("guestbook import main", ["guestbook"])],
    ids=["flask", "guestbook"],
)
def test_cron_imports_neither_the_database_library_nor_what_sends_when_nothing_is_due(
    main: str, words: list[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the process has the real clock
    with database.write(db.engine) as connection:
        connection.execute(update(Pass).values(started_at=clock.now()))
    code = (
        f"import sys; from {main}\n"
        f"sys.argv = {[*words, 'cron', '--max-seconds', '9']}\n"
        "try: main()\nfinally: print(*sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    imported = set(done.stdout.split())
    assert not imported & HEAVY
    assert not imported & {f"guestbook.{room}" for room in ROOMS}
    assert len(passes()) == 2


def test_deliveries_that_their_receiver_fetches_are_not_its_work() -> None:
    factories.delivery(factories.webhook("pull:"))
    assert is_idle()
    factories.delivery(factories.webhook())
    assert not is_idle()
