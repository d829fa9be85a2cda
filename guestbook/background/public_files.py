"""The published pages as files, which a web server gives to readers without the program.

A transaction that changes what readers see notes it in the database. After the commit, and before the answer
is sent, the files that are out of date are removed; then they are written again, and the notes deleted. So a
file is right or missing, and what is missing the program answers. The next pass does what a kill left undone.

One process at a time does this, and reads the database once it has the lock: no older state comes later. A
change of the settings or of the program removes all files. Passes write them again, the newest first.
"""

import hashlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

from flask import Flask
from werkzeug.exceptions import NotFound

from guestbook.comments import comment_form
from guestbook.lib import VERSION, avatar, files, locks
from guestbook.lib.errors import Refused
from guestbook.queries import public_comments
from guestbook.queries.public_comments import PublicPage
from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import BOOK_LANGUAGES

STATE_FILE = ".guestbook-pages"  # A folder with it belongs to the book.
LOCK = "pages.lock"  # a name in the data folder
PATIENCE = 10.0  # seconds for another process that writes
LEAST_SECONDS = 5.0  # for many changes at once; what is left is for the next pass
PAUSE = 2 * locks.RETRY_EVERY  # seconds between two steps, for others that want the lock
AT_ONCE = 4  # comments in one step: half a second in twelve languages
DEFAULT = "default"  # a link to the folder of the owner's language
FEEDS = ("feed.atom", "feed.json")
NEWEST = "g"  # after all ids
log = logging.getLogger(__name__)


@dataclass
class FolderState:
    """What the folder has; it stands there as JSON."""

    made_of: str = ""  # stands for the program and the settings
    older_than: str | None = None  # Comments before this id are not written yet; None when all are.
    bridge: str | None = None  # The page behind the front page begins here, and ends at a cut.


def read_state(folder: Path) -> FolderState:
    """Return the state; an empty one where the file is missing or damaged."""
    with suppress(OSError, ValueError, TypeError):
        return FolderState(**json.loads((folder / STATE_FILE).read_text()))
    return FolderState()


def forget(settings: Settings) -> None:
    """Let all files be removed and written again, because the book was replaced. Raises OSError."""
    if settings.public_folder and settings.public_folder.is_dir():
        files.replace_file(settings.public_folder / STATE_FILE, json.dumps(asdict(FolderState())))


def is_behind(settings: Settings) -> bool:
    """Whether there are files to write, apart from the changes that the database knows."""
    if settings.public_folder is None:
        return False
    state = read_state(settings.public_folder)
    return not state.made_of.startswith(f"{VERSION} ") or state.older_than is not None


def remove_stale(app: Flask) -> None:
    """Remove the files that committed changes have made wrong. Never raises: the changes are stored."""
    with _opened(app) as folder:
        if folder:
            folder.remove_stale()


def write(app: Flask, seconds: float = 0.0) -> None:
    """Write files that have changed, and for so many seconds others that are missing. Never raises."""
    fills, until, has_more = seconds > 0, time.monotonic() + max(seconds, LEAST_SECONDS), True
    while has_more:
        has_more = False
        with _opened(app, fills=fills) as folder:
            if folder:
                folder.remove_stale()
                folder.write_some()
                has_more = folder.has_work(fills=fills) and time.monotonic() + PAUSE < until
        if has_more:
            time.sleep(PAUSE)


@contextmanager
def _opened(app: Flask, *, fills: bool = False) -> Iterator["PageFolder | None"]:
    """Give the folder where it needs work, while no other process works there; log what goes wrong."""
    from sqlalchemy.orm import Session

    from guestbook.storage.database import db

    settings: Settings = app.config["GUESTBOOK"]
    if settings.public_folder is None or "feeds" not in app.blueprints:  # A reader's app writes nothing.
        yield None
        return
    try:
        with app.app_context(), Session(db.engine) as session:
            # This reads without a transaction, so each time what is committed.
            look = partial(PageFolder, app, settings.public_folder, plain_sql.through(session))
            if not look().has_work(fills=fills):
                yield None
                return
            with locks.taken(settings.data_dir / LOCK, patience=PATIENCE) as is_ours:
                if not is_ours:
                    raise Refused("another process takes too long")
                yield look()
    except Exception as error:
        shown = None if isinstance(error, OSError | Refused) else error
        log.warning("The pages in %s are not right: %s.", settings.public_folder, error, exc_info=shown)


class PageFolder:
    """The folder, and the book as the database has it now."""

    def __init__(self, app: Flask, path: Path, select: Select) -> None:
        self._app, self._path, self._select = app, path, select
        self._settings: Settings = app.config["GUESTBOOK"]
        self._state = read_state(path)
        self._book = preferences.selected(select)
        self._changes: dict[str, str] = dict(map(tuple, select(plain_sql.CHANGES)))
        others = [one for one in BOOK_LANGUAGES if one != self._book.language]
        # The owner's comes last: where its file is, the others are.
        self._languages = [*(others if self._book.visitor_languages else ()), self._book.language]

    def has_work(self, *, fills: bool) -> bool:
        """Whether files are wrong, or if it `fills` are missing."""
        is_missing = self._state.older_than is not None and (fills or self._state.older_than == NEWEST)
        return bool(self._changes) or self._is_other_book() or is_missing

    def remove_stale(self) -> None:
        """Remove what is wrong now, or everything."""
        if changed := {*self._changes.values()}:
            begins = changed | self._list_pages(changed) | {self._state.bridge or ""}
            pages = ["index", *(f"comments/{one}" for one in changed), *(f"before/{one}" for one in begins)]
            names = [f"{language}/{page}.html" for language in self._languages for page in pages]
            for name in (*names, *FEEDS, *(f"comments/{one}.atom" for one in changed)):
                (self._path / name).unlink(missing_ok=True)
        if self._is_other_book() or plain_sql.ALL_CHANGED in changed:
            self._remove_all()

    def write_some(self) -> None:
        """Write the pages of some changes, or some that are missing."""
        chosen = dict([*self._changes.items()][:AT_ONCE])
        changed = {*chosen.values()} - {plain_sql.ALL_CHANGED}
        if self._state.older_than == NEWEST:
            self._write_others()
        if chosen or self._state.older_than == NEWEST:
            self._write_comments(changed)
            self._write_lists(self._list_pages(changed))
            self._write_top()
            self._delete_changes(chosen)
        elif self._state.older_than:
            self._write_older(self._state.older_than)

    def _is_other_book(self) -> bool:
        return self._state.made_of != self._made_of

    @cached_property
    def _made_of(self) -> str:
        key = comment_form.picture_id_of("", self._settings.secret_key)
        parts = repr((self._settings.base_url, key, self._book))
        return f"{VERSION} {hashlib.sha256(parts.encode()).hexdigest()[:32]}"

    def _keep_state(self) -> None:
        files.replace_file(self._path / STATE_FILE, json.dumps(asdict(self._state)))

    def _remove_all(self) -> None:
        """Move all away by renaming, which is fast."""
        self._path.mkdir(parents=True, exist_ok=True)
        there = [one for one in self._path.iterdir() if not one.name.startswith(".")]
        if there and not (self._path / STATE_FILE).exists():
            raise Refused("it has other files, so name an empty folder")
        old = self._path / f".old-{secrets.token_hex(4)}"
        old.mkdir()
        for one in there:
            one.rename(old / one.name)
        self._state = FolderState(self._made_of, NEWEST)
        self._keep_state()

    def _cut(self, query: str, comment_id: str) -> str | None:
        found = self._select(query, comment_id=comment_id, most=self._book.per_page)
        return next((str(one) for (one,) in found), None)

    def _list_pages(self, changed: Iterable[str]) -> set[str]:
        """Return where the pages begin that list these comments, and those that begin at them."""
        cuts = (public_comments.CUT_ABOVE, public_comments.CUT_AT)
        return {place for one in changed for query in cuts if (place := self._cut(query, one))}

    def _write_others(self) -> None:
        """Write what does not change with the comments."""
        for old in self._path.glob(".old-*"):
            shutil.rmtree(old, ignore_errors=True)
        static = Path(str(self._app.static_folder))
        shutil.copytree(static, self._path / "static", dirs_exist_ok=True)
        for name in ("favicon.ico", "button.svg"):
            shutil.copyfile(static / name, self._path / name)
        if self._book.own_css:
            self._put("own.css", self._book.own_css)
        self._write_page("privacy", "/privacy")
        link = self._path / DEFAULT
        link.unlink(missing_ok=True)
        link.symlink_to(self._book.language)

    def _write_top(self) -> None:
        """Write the front page, the feeds, and the pages from there down to one that is there."""
        rows = self._select(public_comments.NEWEST_PUBLISHED, most=self._book.per_page + 1)
        page = public_comments.page_of(rows, self._book.per_page)
        self._state.bridge = page.older if page.older not in self._cuts_of(page) else None
        self._write_lists(self._down_from(page.older))
        self._write_page("index", "/")
        for name in FEEDS:
            self._put(name, self._made(f"/{name}", self._book.language))
        if self._state.older_than == NEWEST:
            self._write_comments(one.id for one in page.rows)
            self._state.older_than = page.older
        self._keep_state()

    def _cuts_of(self, page: PublicPage) -> list[str]:
        return [one.id for one in page.rows if one.number and one.number % self._book.per_page == 0]

    def _down_from(self, place: str | None) -> Iterator[str]:
        """Yield where pages begin, until the next one is there, or comes in a later step."""
        later = self._state.older_than or ""
        while place:
            yield place
            place = self._cut(public_comments.CUT_BELOW, place)
            if place and (place < later or (self._path / DEFAULT / f"before/{place}.html").exists()):
                return

    def _write_older(self, before: str) -> None:
        """Write some comments before this id, and the pages that begin there."""
        page = public_comments.page(self._select, before, AT_ONCE)
        self._write_lists(self._cuts_of(page))
        self._write_comments(one.id for one in page.rows)
        self._state.older_than = page.older
        self._keep_state()

    def _write_comments(self, comment_ids: Iterable[str]) -> None:
        for one in comment_ids:
            self._write_page(f"comments/{one}", f"/comments/{one}")
            self._put(f"comments/{one}.atom", self._made(f"/comments/{one}.atom", self._book.language))
            comment, key = public_comments.find(self._select, one), self._settings.secret_key
            picture = comment and comment_form.picture_of(comment.name, self._book, key)
            if picture and not picture.glyph:
                self._put(f"pictures/{picture.id}.svg", avatar.svg(picture.id))

    def _write_lists(self, begins: Iterable[str]) -> None:
        for one in begins:
            self._write_page(f"before/{one}", f"/?before={one}")

    def _write_page(self, name: str, path: str) -> None:
        for language in self._languages:
            self._put(f"{language}/{name}.html", self._made(path, language))

    def _made(self, path: str, language: str) -> str | None:
        """Return the page as the program answers it; None where it has none."""
        made: str | None = Context().run(self._answer, path, language)  # It has its own context of Flask.
        return made

    def _answer(self, path: str, language: str) -> str | None:
        headers, base_url = {"Accept-Language": language}, f"{self._settings.base_url}/"
        with self._app.test_request_context(
            path, base_url=base_url, headers=headers, environ_overrides={public_comments.AS_FILE: True}
        ):
            try:
                return self._app.make_response(self._app.dispatch_request()).get_data(as_text=True)
            except NotFound:
                return None

    def _put(self, name: str, text: str | None) -> None:
        """Put a file with this text there in one step; without one, remove it."""
        path = self._path / name
        if text is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace_file(path, text)

    def _delete_changes(self, names: Collection[str]) -> None:
        from guestbook.storage import database

        self._changes = {name: one for name, one in self._changes.items() if name not in names}
        if names:
            where, named = plain_sql.listed(names)
            sql, engine = f"DELETE FROM book_state WHERE name IN {where}", database.db.engine
            database.write_with_retry(engine, lambda connection: plain_sql.run(connection, sql, **named))
