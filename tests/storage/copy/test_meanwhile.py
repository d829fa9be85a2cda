"""What happens to a book or its copy while it moves: kills, writers, passes, servers that are away."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text

from guestbook import settings
from guestbook.background import cron
from guestbook.lib import pass_lock
from guestbook.storage.copy import book_copy
from guestbook.storage.copy.table_reader import AT_ONCE
from guestbook.storage.copy.target import TargetAway
from guestbook.storage.database import db
from guestbook.storage.models import Pass
from tests.conftest import running, settings_for
from tests.storage.copy.moving import (
    ask,
    back,
    count,
    file_of,
    is_well,
    kinds,
    migrate,
    on_file,
    refused,
    servers,
    url_of,
    written,
)
from tests.storage.copy.rows import dump, hostile, row, write
from tests.support import factories
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import wait_for

MANY = 3 * AT_ONCE  # rows


@pytest.mark.parametrize("there", ["sqlite-journal", "postgresql", "mariadb"], indirect=True)
def test_what_was_killed_goes_on_where_it_was(folder: Path, there: str, forks: Forks) -> None:
    fill(folder)
    forks.run(settings_for(folder, url_of(folder)), "migrate-to", there, point="inside_copy")
    kept = wait_for(lambda: count(there, "deliveries"), 20)
    assert kept == AT_ONCE  # a portion is there wholly or not at all
    report = migrate(folder, there)
    assert is_well(report)
    [deliveries] = [one for one in report.moved if one.table.name == "deliveries"]
    assert deliveries.copied <= MANY - kept
    assert deliveries.target.rows == MANY
    assert back(folder, there) == dump(file_of(folder))


def fill(folder: Path) -> None:
    """Store many deliveries."""
    with running(settings_for(folder, url_of(folder))) as app, app.app_context():
        Book(app).stock(factories.webhook(), MANY)
        db.session.remove()


@kinds
def test_a_book_that_is_written_to_is_copied_as_it_was_and_said_to_have_changed(
    folder: Path, there: str
) -> None:
    write(file_of(folder), hostile())
    before = dump(file_of(folder))

    def sign(label: str) -> None:
        if label == "Copying":
            write(file_of(folder), [row("comments", id="late", status="held")])

    report = migrate(folder, there, at=sign)
    assert [one.table.name for one in report.moved if not one.is_still] == ["comments"]
    assert all(one.is_whole for one in report.moved)
    assert back(folder, there) == before
    assert written(migrate(folder, there)) == 1
    assert back(folder, there) == dump(file_of(folder))


@servers
def test_a_book_on_a_server_is_copied_as_it_was_too(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    migrate(folder, there)

    def edit(label: str) -> None:
        if label == "Copying":
            ask(there, text("UPDATE comments SET name = 'late'"))
            ask(there, text("DELETE FROM attempts"))

    new = folder / "new.db"
    report = migrate(folder, f"sqlite:///{new}", there, at=edit)
    assert {one.table.name for one in report.moved if not one.is_still} == {"comments", "attempts"}
    assert dump(new) == dump(file_of(folder))


@kinds
def test_a_copy_that_is_not_the_book_is_found_out(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())

    def spoil(label: str) -> None:
        if label == "Checking":
            ask(there, text("UPDATE comments SET name = 'A ' WHERE name = 'a '"))
            ask(there, text("DELETE FROM bin_requests WHERE id = 'r2'"))

    report = migrate(folder, there, at=spoil)
    assert {one.table.name for one in report.moved if not one.is_whole} == {"comments", "bin_requests"}
    assert all(one.is_still for one in report.moved)
    assert written(migrate(folder, there)) == 2
    assert back(folder, there) == dump(file_of(folder))


@on_file
def test_no_pass_of_this_host_is_at_work_meanwhile(
    folder: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []
    with running(settings_for(folder, url_of(folder))) as app, app.app_context():

        def run_pass(_label: str = "") -> None:
            found.append(cron.run(db.engine, factories.settings(), cron.Options(max_seconds=1)))

        assert is_well(migrate(folder, there, at=run_pass))
        assert found == [None, None]
        run_pass()
        assert found.pop()
    monkeypatch.setattr(book_copy, "PASS_WAIT", 0.2)
    with pass_lock.taken(folder / pass_lock.PASS):
        assert refused(folder, there) == "A pass is still at work. Stop cron, and run this again."


@on_file
def test_it_waits_for_the_pass_that_is_at_work(folder: Path, there: str, forks: Forks) -> None:
    environ = settings_for(folder, url_of(folder))
    at_work = forks.start(environ, "cron", "--stay", "--max-seconds", "30")
    at_work.is_at_work()
    calls: list[str] = []

    def waiting() -> None:
        calls.append("waiting")
        at_work.terminate()

    still = nullcontext(lambda _rows: None)
    report = book_copy.run(settings.load(environ), there, progress=lambda *_: still, waiting=waiting)
    assert calls == ["waiting"]
    assert at_work.wait() == 0
    assert is_well(report)
    assert len(ask(there, select(Pass.id))) == 1


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@127.0.0.1:1/book", "sqlite:////dev/null/book.db"]
)
def test_a_target_that_is_away_is_told_from_the_book(folder: Path, url: str) -> None:
    with pytest.raises(TargetAway) as raised:
        migrate(folder, url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("there", ["postgresql"], indirect=True)
def test_so_is_one_that_takes_nothing(folder: Path, there: str) -> None:
    name = make_url(there).database
    ask(there, text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    with pytest.raises(TargetAway, match="read-only"):
        migrate(folder, there)
