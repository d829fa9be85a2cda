"""Books and where they move to, for the tests."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from guestbook import settings
from guestbook.lib.errors import Refused
from guestbook.storage.copy import book_copy
from guestbook.storage.copy.book_copy import CopyReport
from tests.conftest import need, settings_for
from tests.storage.copy.rows import Dump, dump
from tests.support import databases

IN_WORDS = "postgresql-icu"  # a database of PostgreSQL that sorts as people do
# As English does, where `per_page` stands beside `perpage`.
IN_ENGLISH = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8' ENCODING 'UTF8'"
each = pytest.mark.parametrize("there", ["sqlite-journal", "postgresql", "mariadb", IN_WORDS], indirect=True)
# Where PostgreSQL takes part as the one or the other: sorting as people do asks more of a copy.
kinds = pytest.mark.parametrize("there", ["sqlite-journal", IN_WORDS, "mariadb"], indirect=True)
servers = pytest.mark.parametrize("there", ["postgresql", "mariadb"], indirect=True)
on_file = pytest.mark.parametrize("there", ["sqlite-journal"], indirect=True)


def url_of(folder: Path) -> str:
    """Return the URL of the book in a data folder."""
    return f"sqlite:///{folder}/guestbook.db"


def file_of(folder: Path) -> Path:
    """Return its file."""
    return folder / "guestbook.db"


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database."""
    if kind.startswith("sqlite"):
        yield f"sqlite:///{folder}/there.db?journal_mode=delete"
        return
    need(kind.removesuffix("-icu"))
    with databases.fresh(kind.removesuffix("-icu"), folder, IN_ENGLISH if kind == IN_WORDS else "") as url:
        yield url


def migrate(
    folder: Path, to: str, of: str | None = None, at: Callable[[str], None] = lambda _label: None
) -> CopyReport:
    """Copy the folder's book, or that of another URL; `at` is called when a part begins, with its label."""

    def progress(label: str, _rows: int) -> Any:
        at(label)
        return nullcontext(lambda _rows: None)

    read = settings.load(settings_for(folder, of or url_of(folder)))
    return book_copy.run(read, to, progress=progress, waiting=lambda: None)


def refused(folder: Path, to: str, of: str | None = None) -> str:
    """Return why it is refused."""
    with pytest.raises(Refused) as raised:
        migrate(folder, to, of)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def written(report: CopyReport) -> int:
    """Return how many rows were copied or removed."""
    return sum(one.copied + one.removed for one in report.moved)


def is_well(report: CopyReport) -> bool:
    """Whether the copy is the book."""
    return all(one.is_whole and one.is_still for one in report.moved)


def back(folder: Path, of: str) -> Dump:
    """Copy what is there to a new book on SQLite, and return that."""
    new = folder / f"back{secrets.token_hex(4)}.db"
    assert is_well(migrate(folder, f"sqlite:///{new}", of))
    return dump(new)


def ask(url: str, query: Any) -> Any:
    """Put a query to the target, and return the first column of its answer."""
    engine = create_engine(make_url(url).difference_update_query(["journal_mode"]))
    try:
        with engine.begin() as connection:
            done = connection.execute(query)
            return done.scalars().all() if done.returns_rows else None
    finally:
        engine.dispose()


def count(url: str, table: str) -> int:
    """Return how many rows a table of the target has; none where there is none."""
    path = Path(make_url(url).database or "")
    if url.startswith("sqlite") and not path.exists():  # it must not be us who make it
        return 0
    try:
        return int(ask(url, text(f"SELECT count(*) FROM {table}"))[0])
    except Exception as error:  # in the words of three databases
        if table in str(error) or "locked" in str(error):
            return 0
        raise
