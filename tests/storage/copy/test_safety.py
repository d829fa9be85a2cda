"""No book is overwritten, and none that is in use."""

from pathlib import Path

import pytest
from sqlalchemy import TableClause, column, insert, make_url, select, table, text, update

from guestbook.storage.copy.table_reader import MARKER
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Setting
from tests.conftest import running, settings_for
from tests.storage.copy.moving import (
    ask,
    count,
    each,
    file_of,
    is_well,
    migrate,
    on_file,
    refused,
    servers,
    url_of,
    written,
)
from tests.storage.copy.rows import TABLES, change, dump, hostile, row, write
from tests.support import databases, factories


@on_file
def test_a_database_that_holds_a_book_is_refused_and_left_alone(
    folder: Path, there: str, tmp_path: Path
) -> None:
    write(file_of(folder), hostile())
    other = tmp_path / "there.db"
    for rows in ([row("settings", name="title", value="Mine")], hostile()):
        other.unlink(missing_ok=True)
        with running(settings_for(tmp_path, f"sqlite:///{other}")):
            write(other, rows)
        before = dump(other)
        assert "there.db holds a book already, in " in refused(folder, there)
        assert dump(other) == before


@on_file
def test_the_copy_of_another_book_is_refused(folder: Path, there: str, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    for home in (folder, second):
        with running(settings_for(home, url_of(home))):
            write(file_of(home), [row("settings", name="title", value=str(home))])
    migrate(folder, there)
    assert f"holds a copy of {url_of(folder)} already, in settings" in refused(second, there)
    assert written(migrate(folder, there)) == 0


LATER = "2999-01-01T00:00:00.000Z"
LATE = {
    "passes": row("passes", id="new", started_at=LATER),
    "comments": row("comments", id="new", status="held", created_at=LATER),
    "sessions": row("sessions", id="new", created_at=LATER),
    "attempts": row("attempts", delivery_id="d0", number=1, triggered_by="test", started_at=LATER),
    "bin_requests": row("bin_requests", id="new", bin_id="b1", encoding="text", received_at=LATER),
}


@pytest.mark.parametrize("there", ["sqlite-journal", "postgresql-icu"], indirect=True)
def test_a_copy_that_was_in_use_since_is_refused(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    migrate(folder, there)
    for used, late in LATE.items():
        ask(there, insert(raw(used)).values(late[1]))
        said = refused(folder, there)
        assert f"was in use since it was copied: its {used} have what this book has not." in said
        write(file_of(folder), [late])  # as soon as the book has it too, all is well
    assert is_well(migrate(folder, there))


def raw(name: str) -> TableClause:
    """A table without the models' types."""
    return table(name, *(column(one.name) for one in TABLES[name].c))


@on_file
def test_what_the_book_has_removed_since_is_no_use_of_the_copy(folder: Path, there: str) -> None:
    with running(settings_for(folder, url_of(folder))) as app, app.app_context():
        factories.sign("one")
        factories.sign("two")
        db.session.remove()
    migrate(folder, there)
    change(file_of(folder), "DELETE FROM comments")
    assert is_well(migrate(folder, there))
    assert ask(there, select(Comment.id)) == []


def test_the_book_itself_is_refused_whatever_it_is_called(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(file_of(folder))
    same = ("guestbook.db", file_of(folder), tmp_path / "link.db", folder / ".." / "home" / "guestbook.db")
    for name in same:
        assert refused(folder, f"sqlite:///{name}") == f"The book is in {url_of(folder)} already."


@servers
def test_on_a_server_too(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    migrate(folder, there)
    port = databases.PORTS["postgresql" if there.startswith("postgresql") else "mariadb"]
    same = make_url(there).set(port=make_url(there).port or port, password="hunter2")
    for url in (there, same.render_as_string(hide_password=False)):
        sentence = refused(folder, url, there)
        assert sentence.endswith(" already.")
        assert "hunter2" not in sentence
    other_name = make_url(there).set(host="localhost").render_as_string(hide_password=False)
    assert "holds a copy of" in refused(folder, other_name, there)


@each
def test_a_table_of_somebody_else_s_is_not_touched(folder: Path, there: str) -> None:
    ask(there, text("CREATE TABLE comments (id INTEGER, word VARCHAR(10))"))
    ask(there, text("INSERT INTO comments VALUES (1, 'x')"))
    assert "has a table comments that is not of this guestbook" in refused(folder, there)
    assert ask(there, text("SELECT word FROM comments")) == ["x"]
    assert count(there, "settings") == 0


@on_file
def test_a_marker_that_was_garbled_is_none(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    migrate(folder, there)
    marker = f"settings WHERE name = '{MARKER}'"
    since, _, place = ask(there, text(f"SELECT value FROM {marker}"))[0].partition(" ")
    assert place == url_of(folder)
    for garbled in ("", "x", "{since}", " ", "{since} sqlite:///", "x {place}"):
        value = garbled.format(since=since, place=place)
        ask(there, update(Setting).where(Setting.name == MARKER).values(value=value))
        assert " already, in audit_log, bins, comments and more." in refused(folder, there), garbled
    ask(there, update(Setting).where(Setting.name == MARKER).values(value=f"{since} {place}"))
    assert is_well(migrate(folder, there))
