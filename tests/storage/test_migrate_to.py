"""A book that moves is the same there, byte for byte. Nothing is overwritten."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from guestbook import settings
from guestbook.auth import login
from guestbook.background import whole_pass
from guestbook.lib import locks
from guestbook.lib.errors import Refused
from guestbook.storage import database, preferences, table_copy
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from guestbook.storage.table_copy import AT_ONCE, MoveReport, TargetAway
from tests.conftest import need, running, settings_for
from tests.storage import hostile_rows
from tests.storage.hostile_rows import Dump, change, dump, row, write
from tests.support import databases, factories
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.receiver import Receiver

IN_WORDS = "postgresql-icu"  # a database of PostgreSQL that sorts as people do
IN_ENGLISH = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8' ENCODING 'UTF8'"
KINDS = ["sqlite-journal", "postgresql", "mariadb"]
each = pytest.mark.parametrize("there", KINDS, indirect=True)
in_any_order = pytest.mark.parametrize("there", [*KINDS, IN_WORDS], indirect=True)
servers = pytest.mark.parametrize("there", ["postgresql", "mariadb"], indirect=True)
on_file = pytest.mark.parametrize("there", ["sqlite-journal"], indirect=True)


@pytest.fixture
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the kind that the test asks for."""
    if request.param.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/there.db?journal_mode=delete"
        return
    kind = request.param.removesuffix("-icu")
    need(kind)
    with databases.fresh(kind, tmp_path, IN_ENGLISH if request.param == IN_WORDS else "") as url:
        yield url


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/guestbook.db"


def migrate(
    folder: Path, to: str, of: str | None = None, at: Callable[[str], None] = lambda _label: None
) -> MoveReport:
    """Move the folder's book, or that of another URL; `at` is called when a part begins, with its label."""

    def progress(label: str, _rows: int) -> Any:
        at(label)
        return nullcontext(lambda _rows: None)

    read = settings.load(settings_for(folder, of or url_of(folder)))
    return table_copy.move_book(read, to, progress=progress, waiting=lambda: None)


def refused(folder: Path, to: str, of: str | None = None, **more: Any) -> str:
    with pytest.raises(Refused) as raised:
        migrate(folder, to, of, **more)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def back(folder: Path, of: str) -> Dump:
    """Move what is there to a new book on SQLite, and return that."""
    new = folder / f"back{secrets.token_hex(4)}.db"
    migrate(folder, f"sqlite:///{new}", of)
    return dump(new)


def ask(url: str, query: str) -> Any:
    """Put a query to the target, and return the first column of its answer."""
    engine = create_engine(make_url(url).difference_update_query(["journal_mode"]))
    try:
        with engine.begin() as connection:
            done = connection.execute(text(query))
            return done.scalars().all() if done.returns_rows else None
    finally:
        engine.dispose()


def is_empty(url: str) -> bool:
    return ask(url, "SELECT count(*) FROM comments") == ask(url, "SELECT count(*) FROM deliveries") == [0]


@in_any_order
def test_there_and_back_is_the_same_book_byte_for_byte(home: Path, there: str) -> None:
    write(home / "guestbook.db", hostile_rows.megabytes())
    before = dump(home / "guestbook.db")
    assert all(before.values())
    report = migrate(home, there)
    counts = {name: len(stored) for name, stored in before.items()}
    assert {name: one.rows for name, one in report.tables.items()} == counts
    assert back(home, there) == before == dump(home / "guestbook.db")


@servers
def test_the_copy_sends_what_was_due_and_has_the_login(
    tmp_path: Path, there: str, receiver: Receiver
) -> None:
    with running(settings_for(tmp_path, url_of(tmp_path))) as app, app.app_context():
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
    migrate(tmp_path, there)
    with running(settings_for(tmp_path, there)) as app, app.app_context():
        assert factories.run_pass().processed == 2
        assert len(receiver.requests) == 2
        assert {one.status for one in factories.deliveries()} == {"processed", "failed"}
        assert factories.the(Delivery, left).attempts == 1
        assert login.find(db.session(), cookie)
        login.confirm("correct horse", address=None, settings=factories.settings())
        assert preferences.read(db.session()) == kept
        factories.sign("and it goes on")
        db.session.remove()
    assert len(back(tmp_path, there)["comments"]) == 2


@each
def test_a_database_that_holds_a_book_is_refused_and_left_alone(home: Path, there: str) -> None:
    migrate(home, there)
    before = back(home, there)
    assert " holds a book already, in " in refused(home, there)
    assert refused(home, there, there).endswith(" already.")
    assert back(home, there) == before


def test_the_book_itself_is_refused_whatever_it_is_called(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(home / "guestbook.db")
    for name in ("guestbook.db", home / "guestbook.db", tmp_path / "link.db", home / "../home/guestbook.db"):
        assert refused(home, f"sqlite:///{name}") == f"The book is in {url_of(home)} already."


@servers
def test_no_sentence_has_the_password(home: Path, there: str) -> None:
    migrate(home, there)
    port = databases.PORTS["postgresql" if there.startswith("postgresql") else "mariadb"]
    same = make_url(there).set(port=make_url(there).port or port, password="hunter2")
    sentence = refused(home, same.render_as_string(hide_password=False), there)
    assert sentence.startswith("The book is in ")
    assert "hunter2" not in sentence


@each
def test_a_table_of_somebody_else_s_is_not_touched(home: Path, there: str) -> None:
    ask(there, "CREATE TABLE comments (id INTEGER, word VARCHAR(10))")
    ask(there, "INSERT INTO comments VALUES (1, 'x')")
    assert "has a table comments that is not of this guestbook" in refused(home, there)
    assert ask(there, "SELECT word FROM comments") == ["x"]


@in_any_order
def test_a_run_that_was_killed_leaves_nothing_and_is_repeated(home: Path, there: str, forks: Forks) -> None:
    with running(settings_for(home, url_of(home))) as app, app.app_context():
        Book(app).stock(factories.webhook(), 2 * AT_ONCE)
        db.session.remove()
    forks.run(settings_for(home, url_of(home)), "migrate-to", there, point="inside_copy")
    assert is_empty(there)
    migrate(home, there)
    assert back(home, there) == dump(home / "guestbook.db")


@each
def test_a_book_that_is_written_to_meanwhile_is_not_moved(home: Path, there: str) -> None:
    def sign(label: str) -> None:
        if label == "Copying":
            write(home / "guestbook.db", [row("comments", id="late", status="held")])

    assert refused(home, there, at=sign) == table_copy.CHANGED.format("comments")
    assert is_empty(there)
    migrate(home, there)
    assert back(home, there) == dump(home / "guestbook.db")


@on_file
def test_no_pass_here_is_at_work_meanwhile(home: Path, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, options = list[object](), whole_pass.Options(max_seconds=1)
    with running(settings_for(home, url_of(home))) as app, app.app_context():

        def run_pass(label: str) -> None:
            if label == "Copying":
                found.append(whole_pass.run(db.engine, factories.settings(), options))

        migrate(home, there, at=run_pass)
        assert found == [None]
    monkeypatch.setattr(locks, "PASS_WAIT", 0.2)
    with locks.taken(home / locks.PASS):
        said = refused(home, there)
    assert said.startswith("A pass is still at work after 0.2 seconds. Stop what runs it (cron, ")


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@127.0.0.1:1/book", "sqlite:////dev/null/book.db"]
)
def test_a_target_that_is_away_is_told_from_the_book(home: Path, url: str) -> None:
    with pytest.raises(TargetAway) as raised:
        migrate(home, url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("there", ["postgresql"], indirect=True)
def test_so_is_one_that_takes_nothing(home: Path, there: str) -> None:
    ask(there, f"ALTER DATABASE {make_url(there).database} SET default_transaction_read_only = on")
    with pytest.raises(TargetAway, match="read-only"):
        migrate(home, there)


WRONG = {
    "bytes": ("deliveries SET payload = x'00ff' WHERE id = 'd2'", "d2 of deliveries"),
    "no UTF-8": ("deliveries SET payload = CAST(x'41ff' AS TEXT) WHERE id = 'd2'", "d2 of deliveries"),
    "a fraction": ("deliveries SET claims = 1.5 WHERE id = 'd2'", "d2 of deliveries"),
    "a word": ("attempts SET milliseconds = 'no' WHERE delivery_id = 'd2'", "d2 0 of attempts"),
}


@pytest.mark.parametrize("wrong", WRONG)
@on_file
def test_a_row_that_no_database_should_have_is_named(home: Path, there: str, wrong: str) -> None:
    sql, named = WRONG[wrong]
    change(home / "guestbook.db", f"UPDATE {sql}")
    assert refused(home, there) == (
        f"The row {named} has a wrong value: text must be UTF-8, and numbers must be whole. "
        "Fix or remove that row in the book, and run this again."
    )
    assert is_empty(there)


TOO_MUCH = {
    "a long name": ("comments SET name = printf('%.81c', 'x') WHERE id = 'c2'", "c2 of comments"),
    "a long text": ("comments SET message = printf('%.70000c', 'x') WHERE id = 'c2'", "c2 of comments"),
    "NUL": ("comments SET message = 'a' || char(0) WHERE id = 'c2'", "c2 of comments"),
    "a large number": ("days SET failed = 2147483648", "2026-01-31 of days"),
}
TAKES = {"mariadb": ["NUL"], "postgresql": ["a long text"], "sqlite-journal": list(TOO_MUCH)}


@pytest.mark.parametrize("broken", TOO_MUCH)
@pytest.mark.parametrize("there", TAKES, indirect=True)
def test_a_row_that_the_target_does_not_take_is_named(
    home: Path, there: str, broken: str, request: pytest.FixtureRequest
) -> None:
    sql, named = TOO_MUCH[broken]
    change(home / "guestbook.db", f"UPDATE {sql}")
    if broken in TAKES[request.node.callspec.params["there"]]:
        migrate(home, there)
        assert back(home, there) == dump(home / "guestbook.db")
        return
    sentence = refused(home, there)
    assert sentence.startswith(f"The row {named} is refused by the target: ")
    assert sentence.endswith(". Fix or remove that row in the book, and run this again.")
    assert is_empty(there)


@servers
def test_an_orphan_is_named(home: Path, there: str) -> None:
    """SQLite has such rows where its own shell was used: there foreign keys are off."""
    change(home / "guestbook.db", "PRAGMA foreign_keys = OFF", "DELETE FROM sources WHERE id = 's1'")
    assert "of inbound_events is refused by the target: " in refused(home, there)
