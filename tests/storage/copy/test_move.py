"""A book that moves is the same there, byte for byte, and so are the changes that follow it."""

from pathlib import Path

import pytest
from sqlalchemy import text

from guestbook.auth import login
from guestbook.storage import database, preferences
from guestbook.storage.copy.table_reader import AT_ONCE
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from tests.conftest import running, settings_for
from tests.storage.copy import rows
from tests.storage.copy.moving import (
    ask,
    back,
    each,
    empty,
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
from tests.storage.copy.rows import change, dump, hostile, row, write
from tests.support import factories
from tests.support.processes import wait_for
from tests.support.receiver import Receiver


@each
def test_there_and_back_is_the_same_book_byte_for_byte(folder: Path, there: str) -> None:
    write(file_of(folder), [*hostile(), *rows.megabytes()])
    before = dump(file_of(folder))
    assert all(before.values())
    report = migrate(folder, there)
    assert is_well(report)
    assert {one.table.name: one.copied for one in report.moved} == {
        name: len(stored) for name, stored in before.items()
    }
    second = migrate(folder, there)
    assert is_well(second)
    assert written(second) == 0
    assert back(folder, there) == before == dump(file_of(folder))


@pytest.mark.parametrize("there", ["mariadb"], indirect=True)
def test_between_two_servers_it_is_the_same_too(folder: Path, there: str, tmp_path: Path) -> None:
    write(file_of(folder), [*hostile(), *rows.megabytes()])
    migrate(folder, there)
    with empty("postgresql", tmp_path) as third:
        assert is_well(migrate(folder, third, there))
        assert back(folder, third) == dump(file_of(folder))


@kinds
def test_what_was_changed_added_and_removed_since_is_carried_over(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    migrate(folder, there)
    change(
        file_of(folder),
        "UPDATE comments SET message = 'other', website = NULL WHERE id = 'c4'",
        "DELETE FROM comments WHERE id = 'c1'",  # with its reply; deliveries lose sight of it
        "DELETE FROM webhooks WHERE id = 'w2'",  # with its template
        "DELETE FROM attempts WHERE delivery_id = 'd3' AND number = 1",
        "UPDATE settings SET value = value || ' ' WHERE name = 'per_page'",
        "DELETE FROM settings WHERE name = 'perpage'",
        "UPDATE deliveries SET status = 'processed', due_at = NULL, claimed_by = NULL WHERE id = 'd3'",
    )
    write(file_of(folder), [row("comments", id="c9", status="held")])
    report = migrate(folder, there)
    assert is_well(report)
    done = {one.table.name: (one.copied, one.removed) for one in report.moved}
    assert {name: numbers for name, numbers in done.items() if any(numbers)} == {
        "comments": (2, 1),
        "webhooks": (0, 1),
        "settings": (1, 1),
        "deliveries": (1, 0),
        "attempts": (0, 1),
    }
    assert back(folder, there) == dump(file_of(folder))


@kinds
def test_what_must_be_unique_may_have_changed_hands(folder: Path, there: str) -> None:
    """Within a portion, and between the first and the last of several."""
    last = AT_ONCE + 9
    names = [f"{number:032x}" for number in range(last + 1)]
    keys = ((name, f"k{number}") for number, name in enumerate(names))
    write(file_of(folder), (row("comments", id=name, status="held", form_key=key) for name, key in keys))
    write(file_of(folder), [row("replies", comment_id=name) for name in (names[0], names[last])])
    migrate(folder, there)
    for one, other in (("k0", f"k{last}"), ("k1", "k2")):
        rename(folder, one, "-")
        rename(folder, other, one)
        rename(folder, "-", other)
    change(file_of(folder), "DELETE FROM comments WHERE form_key = 'k5'")
    rename(folder, "k4", "k5")
    assert is_well(migrate(folder, there))
    assert back(folder, there) == dump(file_of(folder))


def rename(folder: Path, old: str, new: str) -> None:
    change(file_of(folder), f"UPDATE comments SET form_key = '{new}' WHERE form_key = '{old}'")


@on_file
def test_a_book_without_a_row_moves_too(folder: Path, there: str) -> None:
    for _ in range(2):
        report = migrate(folder, there)
        assert is_well(report)
        assert written(report) == 0


@servers
def test_the_copy_sends_what_was_due_and_knows_the_password(
    folder: Path, there: str, receiver: Receiver
) -> None:
    with running(settings_for(folder, url_of(folder))) as app, app.app_context():
        hook = factories.webhook(receiver.url("/hook"))
        factories.sign("due 🦋")
        left = factories.delivery(hook, claims=1, claimed_by="a pass that was killed")
        factories.delivery(hook, status="failed")
        with database.writing() as session:
            login.set_password(session, "correct horse")
            preferences.save(session, {"title": "Ours", "per_page": "7"})
        cookie = login.log_in("correct horse", address=None, browser="b", settings=factories.settings())
        kept = preferences.read(db.session())
        db.session.remove()
    assert is_well(migrate(folder, there))
    with running(settings_for(folder, there)) as app, app.app_context():
        assert factories.run_pass().processed == 2
        assert len(receiver.requests) == 2
        assert {one.status for one in factories.deliveries()} == {"processed", "failed"}
        assert factories.the(Delivery, left).attempts == 1
        assert login.find(db.session(), cookie)
        login.confirm("correct horse", address=None, settings=factories.settings())
        assert preferences.read(db.session()) == kept
        factories.sign("and it goes on")
        db.session.remove()
    assert "was in use since" in refused(folder, there)
    assert len(back(folder, there)["comments"]) == 2


@pytest.mark.parametrize("there", ["postgresql"], indirect=True)
def test_postgresql_knows_at_once_how_much_there_is(folder: Path, there: str) -> None:
    """Its own count comes a minute later; until then it would read a whole table for each portion."""
    write(file_of(folder), hostile())
    counts = text("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'comments'")
    for time in (1, 2):
        migrate(folder, there)
        wait_for(lambda time=time: ask(there, counts) == [time], 20)
