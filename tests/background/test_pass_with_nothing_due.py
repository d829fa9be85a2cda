"""A pass with nothing to do ends without an application; whatever there is to do goes to the whole pass."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from guestbook.background import pass_with_nothing_due, retention_rules, whole_pass
from guestbook.lib import clock, ids, locks
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
    ReplyAddress,
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
        whole_pass.run(db.engine, factories.settings(), whole_pass.Options())
        yield environ
        db.session.remove()


def is_idle(**changes: object) -> bool:
    return pass_with_nothing_due.run(replace(factories.settings(), **changes))  # type: ignore[arg-type]  # by name


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


def inbound(**values: object) -> None:
    factories.inbound(factories.source(), **values)


def store(model: type, **values: object) -> None:
    with database.write(db.engine) as connection:
        connection.execute(insert(model).values(**values))


def ago(days: float) -> datetime:
    return clock.now() - days * DAY


def bin_request() -> None:
    answer = {"answer_status": 200, "answer_body": "", "answer_type": ""}
    times = {"delay_milliseconds": 0, "failures_left": 0, "created_at": clock.now()}
    store(Bin, id="b", name="b", token="t", **answer, **times)
    request = {"bin_id": "b", "method": "GET", "path": "", "query": "", "headers": "[]", "body": ""}
    store(BinRequest, id=ids.new(), **request, encoding="text", size=0, answered=200, received_at=ago(8))


def refused() -> None:
    asks_for_proof = factories.source(verify="github", secret="s" * 24, unproven_bytes=9)
    values = {"id": ids.first_of(ago(8)), "status": "failed", "processed_at": ago(8)}
    factories.inbound(asks_for_proof, **values, unproven_bytes=9)


def spam() -> None:
    columns = {"name": "Eve", "message": "x", "status": "spam", "created_at": ago(31), "spam_since": ago(31)}
    store(Comment, id=ids.first_of(ago(31)), **columns)


def refusal() -> None:
    day = clock.to_text(ago(92))[:10]
    store(Refusal, id=f"{day} rate", day=day, reason="rate", number=1)


def hold(**values: object) -> None:
    store(Hold, comment_id=factories.sign(), held_at=clock.now(), **values)


def address(**values: object) -> None:
    row = ReplyAddress(id=factories.sign(), address="x@example.org", language="en", **values)
    factories.written(lambda session: session.add(row))


def pass_at(distance: timedelta) -> None:
    at = clock.now() + distance
    store(Pass, id=ids.new(), started_at=at, host="h", processed=0, retried=0, failed=0)


ADDED = {"actor": "command", "action": "added", "object": "bin", "number": 1}
WORK: dict[str, Callable[[], object]] = {
    "a due delivery": delivery,
    "a lease": lambda: delivery(due_at=clock.now() + MINUTE, claimed_by="x", claims=1),
    "a first attempt in the future": lambda: delivery(due_at=clock.now() + MINUTE),
    "a retry after years": lambda: delivery(due_at=clock.now() + 999 * DAY, attempts=1, claims=1),
    "a pause for years": lambda: factories.webhook(paused_until=clock.now() + 999 * DAY),
    "an inbound event": inbound,
    "an inbound event under a lease": lambda: inbound(due_at=clock.now() + MINUTE, claimed_by="x", claims=1),
    "a source's budget": lambda: factories.source(unproven_bytes=7),
    "an old processed delivery": lambda: delivery(status="processed", finished_at=ago(31)),
    "an old failed delivery": lambda: delivery(status="failed", finished_at=ago(91)),
    "an old delivery of a disabled webhook": lambda: factories.delivery(
        factories.webhook(disabled_at=ago(91), disabled_reason="gone"), due_at=ago(91)
    ),
    "an old processed event": lambda: inbound(status="processed", processed_at=ago(31)),
    "an old failed event": lambda: inbound(status="failed", processed_at=ago(91)),
    "an old event of a disabled source": lambda: factories.inbound(
        factories.source(disabled_at=ago(91)), due_at=ago(91)
    ),
    "a refused event": refused,
    "an old comment of spam": spam,
    "an old count of refusals": refusal,
    "an old e-mail address": lambda: address(created_at=ago(31)),
    "an old e-mail address, whose reply was mailed": lambda: address(mailed_at=ago(0)),
    "an old decision": lambda: hold(decided_at=ago(8)),
    "a held comment of which to remind": lambda: hold(remind_at=clock.now()),
    "a reminder after years": lambda: hold(remind_at=clock.now() + 999 * DAY),
    "an old pass": lambda: pass_at(-31 * DAY),
    "an old bin request": bin_request,
    "a login that is over": lambda: store(Login, id="x", browser="b", created_at=ago(1), expires_at=ago(1)),
    "an old rate limit": lambda: store(Limit, who="x", hits=1, since=ago(2), last_at=ago(2)),
    "an old key of a request": lambda: store(
        IdempotencyKey, id="x", request="y", answer="z", created_at=ago(1.05)
    ),
    "an old signature": lambda: store(SeenSignature, mark="x", event_id="y", seen_at=ago(31)),
    "an old link for a receiver": lambda: store(
        ReceiverLink, id="x", webhook_id=factories.webhook(), name="Ada", expires_at=ago(31)
    ),
    "an old entry of the audit log": lambda: store(
        AuditEntry, id=ids.first_of(ago(366)), at=ago(366), **ADDED
    ),
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
def test_a_missing_or_broken_file_is_left_to_the_whole_pass(content: bytes | None, tmp_path: Path) -> None:
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
    with locks.taken(tmp_path / locks.PASS):
        assert is_idle()
    assert len(passes()) == 1


def test_a_writer_that_does_not_end_is_left_to_the_pass_that_waits_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_with_nothing_due, "LOCK_WAIT", 0.01)
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
