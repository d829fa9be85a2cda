"""`upgrade` as a command: killed anywhere, run twice at once, beside a pass and a web server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook import settings
from guestbook.lib import locks
from guestbook.storage import database, schema_version, upgrade
from guestbook.storage.database import db
from tests.conftest import settings_for
from tests.repo.test_schema import engine_on
from tests.storage import earlier_books
from tests.storage.earlier_books import rows
from tests.storage.test_upgrade import assert_kept, by_name, fresh, upgraded
from tests.support import databases
from tests.support.forks import Forks
from tests.support.visitor import Visitor

# After how many changes of the tables a run dies, run after run.
CHANGES = (1, 3, 1, 4, 2, 3, 5, 3, 2)
FEWEST_DEATHS = 8  # MariaDB keeps more of each run, so a later one may come to its end


@pytest.fixture
def first_book(kind: str, tmp_path: Path) -> Iterator[tuple[dict[str, str], Engine]]:
    """A book of the baseline."""
    with earlier_books.earlier(kind, tmp_path) as url, engine_on(url) as engine:
        yield settings_for(tmp_path, url), engine


def test_an_upgrade_that_is_killed_anywhere_is_finished_by_a_later_one(
    first_book: tuple[dict[str, str], Engine], kind: str, forks: Forks, tmp_path: Path
) -> None:
    environ, engine = first_book
    before = rows(engine)
    forks.run(environ, "upgrade", point="inside_backup")
    assert database.stored_version(engine) == ["0024"]
    deaths, versions = 0, set()
    for changes in CHANGES:
        once = forks.start(
            environ | {"GUESTBOOK_TEST_CHANGES": str(changes)}, "upgrade", point="inside_upgrade"
        )
        if once.wait() == 0:
            break
        deaths += 1
        versions |= set(database.stored_version(engine))
    assert deaths >= FEWEST_DEATHS
    assert len(versions) >= 2, versions  # some runs got further than the ones before
    forks.run(environ, "upgrade")
    assert by_name(engine) == fresh(kind)
    assert_kept(before, rows(engine))
    assert not list((tmp_path / "backups").glob("*.unfinished"))
    oldest = min((tmp_path / "backups").glob("guestbook-0024-*.db"))
    with engine_on(f"sqlite:///{oldest}") as copy:
        assert rows(copy) == before


def test_of_two_upgrades_at_once_one_waits_and_finds_nothing_to_do(
    first_book: tuple[dict[str, str], Engine], kind: str, forks: Forks, tmp_path: Path
) -> None:
    """On a server the two run on machines of their own."""
    environ, engine = first_book
    homes = [tmp_path, tmp_path]
    if kind in databases.SERVERS:
        homes = [tmp_path / "a", tmp_path / "b"]
    for home in set(homes):
        home.mkdir(exist_ok=True)
    both = [forks.start(environ | {"GUESTBOOK_DATA_DIR": str(home)}, "upgrade", "--json") for home in homes]
    assert [one.wait() for one in both] == [0, 0], [one.printed for one in both]
    told: list[dict[str, Any]] = [json.loads((one.folder / "stdout").read_text()) for one in both]
    assert sorted(one["before"] for one in told) == ["0024", schema_version.head()]
    assert len([one for one in told if one["backup"]]) == 1
    assert by_name(engine) == fresh(kind)


def test_an_upgrade_waits_for_the_pass_that_is_running(forks: Forks, tmp_path: Path) -> None:
    with earlier_books.earlier("sqlite-wal", tmp_path) as url, engine_on(url) as engine:
        with locks.taken(tmp_path / locks.PASS):
            waiting = forks.start(settings_for(tmp_path, url), "upgrade")
            said = waiting.folder / "stderr"
            while not (said.exists() and "waiting for its end" in said.read_text()):
                assert database.stored_version(engine) == ["0024"]
        assert waiting.wait() == 0
        assert database.stored_version(engine) == [schema_version.head()]
        assert "0025  A comment from elsewhere knows its source" in waiting.printed


def test_the_web_server_says_that_the_book_is_being_updated_until_it_is(
    first_book: tuple[dict[str, str], Engine],
) -> None:
    environ, _ = first_book
    app = guestbook.create_app(environ)
    visitor, answers = Visitor(app), list[tuple[int, str]]()

    def look(_done: object = None) -> None:
        answers.append((visitor.get("/").status_code, visitor.get("/healthz").get_json()["status"]))

    def progress(_label: str, _length: int) -> Any:
        look()
        return nullcontext(look)

    upgrade.run(settings.load(environ), progress=progress, waiting=lambda: None)
    assert len(answers) > len(schema_version.known())
    assert set(answers[:-1]) == {(503, "tables are older than the program")}
    assert answers[-1] == (200, "cron is late")  # after the last migration
    with app.app_context():
        db.engine.dispose()


@contextmanager
def conflicts(most: int, where: str = "seen_signatures (") -> Iterator[None]:
    """Let one step of an upgrade meet so many conflicts."""
    left = [
        OperationalError("CREATE", None, pymysql.OperationalError(1020, "changed", sqlstate="HY000"))
    ] * most

    def meet(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if left and where in statement:
            raise left.pop()

    event.listen(Engine, "before_cursor_execute", meet)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", meet)


def test_a_step_that_meets_other_transactions_is_repeated(
    first_book: tuple[dict[str, str], Engine], kind: str, tmp_path: Path
) -> None:
    environ, engine = first_book
    with conflicts(3):
        report = upgraded(tmp_path, environ["GUESTBOOK_DATABASE_URL"])
    assert report.after == schema_version.head()
    assert by_name(engine) == fresh(kind)


@pytest.mark.parametrize("where", ["ADD COLUMN source_id", "seen_signatures ("])
def test_an_upgrade_that_gives_up_says_whether_the_book_is_half_upgraded(
    where: str,
    first_book: tuple[dict[str, str], Engine],
    monkeypatch: pytest.MonkeyPatch,
    forks: Forks,
    kind: str,
) -> None:
    environ, engine = first_book
    monkeypatch.setattr(database, "RETRY_CONFLICTS_FOR", 0.2)
    with conflicts(1000, where):
        result = guestbook.create_app(environ).test_cli_runner().invoke(args=["upgrade"])
    assert result.exit_code == 75
    is_half = database.stored_version(engine) != ["0024"] or kind == "mariadb"
    assert ("The book is half upgraded: the step" in result.stderr) == is_half
    assert ("Nothing was changed: the step" in result.stderr) != is_half
    assert result.stderr.endswith("upgrade\n")
    forks.run(environ, "upgrade")
