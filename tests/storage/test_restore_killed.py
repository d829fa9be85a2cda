"""A kill at any point of `backup` or `restore` leaves the old book or the new one, and no half file."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from guestbook.storage import backup
from tests.conftest import running
from tests.repo.test_schema import engine_on
from tests.storage.earlier_books import rows
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import wait_for

# After how many statements that write to the book; 0 is right before the commit.
MOMENTS = {"sqlite": (1, 10, 25, 50, 70, 0), "server": (1, 15, 28, 0)}


def test_a_restore_that_is_killed_anywhere_leaves_the_old_book_or_the_new_one(
    each_environ: dict[str, str], forks: Forks, tmp_path: Path
) -> None:
    with (
        running(each_environ) as app,
        app.app_context(),
        engine_on(each_environ["GUESTBOOK_DATABASE_URL"]) as engine,
    ):
        book = Book(app)
        book.webhook("https://example.org/")
        signed = [book.sign(f"Number {number}") for number in range(3)]
        file = backup.write(book.settings, tmp_path / "b.db").path
        new = snapshot(engine)
        for one in signed:
            book.sign(f"After {one}")
        old = snapshot(engine)
        for moment in MOMENTS["sqlite" if book.settings.on_sqlite else "server"]:
            once = each_environ | {"GUESTBOOK_TEST_CHANGES": str(moment)}
            forks.run(once, "restore", str(file), "--yes", point="inside_restore")
            assert snapshot(engine) == old, moment
            book.check()
        forks.run(each_environ, "restore", str(file), "--yes")
        assert snapshot(engine) == new
        book.sign("and on")
    assert not list(tmp_path.rglob("*.unfinished*"))


def snapshot(engine: Engine) -> dict[str, list[Any]]:
    return {table: sorted(some, key=repr) for table, some in rows(engine).items()}


def test_a_backup_that_is_killed_leaves_the_earlier_one_and_no_file_that_looks_like_one(
    each_environ: dict[str, str], forks: Forks, tmp_path: Path
) -> None:
    with running(each_environ) as app, app.app_context():
        book = Book(app)
        book.stock(book.webhook("https://example.org/"), 3000)
        file = backup.write(book.settings, tmp_path / "b.db").path
        before = file.stat().st_ino
        unfinished = tmp_path / f"b.db{backup.UNFINISHED}"
        forks.run(each_environ, "backup", str(file), point="inside_backup")
        assert unfinished.exists()
        unfinished.unlink()
        once = forks.start(each_environ, "backup", str(file))
        wait_for(unfinished.exists)
        once.kill()
        assert file.stat().st_ino == before
        forks.run(each_environ, "backup", str(file))
        assert file.stat().st_ino != before
        assert backup.verify(file, file).tables["deliveries"].rows == 3000
        book.check()
    assert not list(tmp_path.glob("*.unfinished*"))
