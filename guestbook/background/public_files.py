"""The published pages as files, which a web server gives to readers without the program.

A transaction that changes what readers see notes it in the database. After the commit, and before the answer
is sent, the files that are out of date are removed; then the missing ones are written, and the notes deleted.
So a file is right or missing, and what is missing the program answers. The next pass does what a kill left
undone.

One process at a time does this, and reads the database once it has the lock: no older state comes later. A
change of the settings or of the program removes all files. Passes write them again, the newest first.
"""

import hashlib
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from pathlib import Path

from flask import Flask
from werkzeug.exceptions import NotFound

from guestbook.comments import comment_form
from guestbook.lib import VERSION, files, locks
from guestbook.lib.errors import Refused
from guestbook.queries import public_comments
from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import BOOK_LANGUAGES

# It says of what the files are made, and before which comment they are missing. A folder with it is ours.
STATE_FILE = ".guestbook-pages"
LOCK = ".guestbook-lock"  # It is in the folder too, for machines that share it.
PATIENCE = 10.0  # seconds for another process that writes
LEAST_SECONDS = 5.0  # for many changes at once; the next pass does the rest
PAUSE = 2 * locks.RETRY_EVERY  # seconds between two steps, for others that want the lock
AT_ONCE = 4  # comments in one step: half a second in twelve languages
DEFAULT = "default"  # a link to the folder of the owner's language
FEEDS = ("feed.atom", "feed.json")
log = logging.getLogger(__name__)


def forget(settings: Settings) -> None:
    """Let all files be removed and written again, because the book was replaced. Raises OSError."""
    if settings.public_folder and settings.public_folder.is_dir():
        (settings.public_folder / STATE_FILE).write_text("")


def is_behind(settings: Settings) -> bool:
    """Whether there are files to write, apart from the changes that the database knows."""
    if settings.public_folder is None:
        return False
    made_of, missing = _state(settings.public_folder)
    return not made_of.startswith(f"{VERSION} ") or bool(missing)


def remove_stale(app: Flask) -> None:
    """Remove the files that committed changes have made wrong. Never raises: the changes are stored."""
    _take_step(app, PageFolder.remove_stale)


def write(app: Flask, seconds: float = 0.0) -> None:
    """Write files that have changed, and for so many seconds others that are missing. Never raises."""
    until = time.monotonic() + max(seconds, LEAST_SECONDS)
    while _take_step(app, PageFolder.write_some, fills=seconds > 0) and time.monotonic() + PAUSE < until:
        time.sleep(PAUSE)


def _take_step(app: Flask, step: Callable[["PageFolder"], None], *, fills: bool = False) -> bool:
    """Do something in the folder if it needs work, alone; return whether there is more. Log what fails."""
    from sqlalchemy.orm import Session

    from guestbook.storage.database import db

    settings: Settings = app.config["GUESTBOOK"]
    if settings.public_folder is None or "sqlalchemy" not in app.extensions:  # A reader's app writes nothing.
        return False
    try:
        with app.app_context(), Session(db.engine) as session:
            # This reads without a transaction, so each time what is committed.
            look = partial(PageFolder, app, settings.public_folder, plain_sql.through(session))
            if not look().has_work(fills=fills):
                return False
            with locks.taken(settings.public_folder / LOCK, patience=PATIENCE) as is_ours:
                if not is_ours:
                    raise Refused("another process takes too long")
                step(folder := look())
                return folder.has_work(fills=fills)
    except Exception as error:
        shown = None if isinstance(error, OSError | Refused) else error
        log.warning("The pages in %s are not right: %s.", settings.public_folder, error, exc_info=shown)
        return False


def _state(folder: Path) -> tuple[str, str]:
    """Return what STATE_FILE says; nothing where it is missing."""
    with suppress(OSError, ValueError):
        made_of, _, missing = (folder / STATE_FILE).read_text().partition("\n")
        return made_of, missing
    return "", ""


class PageFolder:
    """The folder, and the book as the database has it now. It raises Refused where others have files."""

    def __init__(self, app: Flask, path: Path, select: Select) -> None:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / STATE_FILE).exists() and any(path.glob("[!.]*")):
            raise Refused("it has other files, so name an empty folder")
        self._app, self._path, self._select = app, path, select
        settings: Settings = app.config["GUESTBOOK"]
        self._base_url, self._key = settings.base_url, settings.secret_key
        self._book = preferences.selected(select)
        self._changes: dict[str, str] = dict(map(tuple, select(plain_sql.CHANGES)))
        key = comment_form.picture_id_of("", self._key)
        days = settings.keep_spam_days, settings.keep_processed_days, settings.keep_failed_days
        parts = repr((self._base_url, key, days, self._book))
        self._made_of = f"{VERSION} {hashlib.sha256(parts.encode()).hexdigest()[:32]}"
        made_of, self._missing = _state(path)
        self._is_other_book = made_of != self._made_of
        others = [one for one in BOOK_LANGUAGES if one != self._book.language]
        # The owner's comes last: where its file is, the others are.
        self._languages = [*(others if self._book.visitor_languages else ()), self._book.language]

    def has_work(self, *, fills: bool) -> bool:
        """Whether files are wrong, or if it `fills` are missing."""
        is_missing = bool(self._missing) and (fills or self._missing == public_comments.AFTER_ALL)
        return bool(self._changes) or self._is_other_book or is_missing

    def remove_stale(self) -> None:
        """Remove what is wrong now, or everything."""
        changed = {*self._changes.values()}
        if self._is_other_book or plain_sql.ALL_CHANGED in changed:
            self._remove_all()
            return
        if not changed:
            return
        pages = ["index", *(f"comments/{one}" for one in changed)]
        pages += [f"before/{one}" for one in changed | self._list_pages(changed)]
        names = [f"{language}/{page}.html" for language in self._languages for page in pages]
        for name in (*names, *FEEDS, *(f"comments/{one}.atom" for one in changed)):
            (self._path / name).unlink(missing_ok=True)

    def write_some(self) -> None:
        """Write the pages of some changes, the newest first, or some that are missing."""
        self.remove_stale()
        chosen = [*self._changes][-AT_ONCE:]
        comments = {self._changes[name] for name in chosen} - {plain_sql.ALL_CHANGED}
        is_filling = bool(self._missing) and not comments
        if is_filling:
            page = public_comments.page(self._select, self._missing, AT_ONCE)
            comments = {one.id for one in page.rows}
        if not (self._path / DEFAULT).exists():
            self._write_others()
        for one in comments:
            self._write_comment(one)
        for one in self._list_pages(comments):
            self._write(f"before/{one}", f"/?before={one}")
        self._write("index", "/")
        for name in FEEDS:
            self._write(name)
        if is_filling:
            self._keep_state(page.older or "")
        self._delete_changes(chosen)

    def _remove_all(self) -> None:
        """Move all away by renaming, which is fast."""
        old = self._path / f".old-{secrets.token_hex(4)}"
        old.mkdir()
        for one in self._path.glob("[!.]*"):
            one.rename(old / one.name)
        self._keep_state(public_comments.AFTER_ALL)

    def _keep_state(self, missing: str) -> None:
        self._is_other_book, self._missing = False, missing
        files.replace_file(self._path / STATE_FILE, f"{self._made_of}\n{missing}")

    def _list_pages(self, comment_ids: Iterable[str]) -> set[str]:
        """Return where the pages begin that list these comments, and those that begin at them."""
        cuts = (public_comments.CUT_ABOVE, public_comments.CUT_AT)
        found = partial(self._select, most=self._book.per_page)
        return {str(place) for one in comment_ids for cut in cuts for (place,) in found(cut, comment_id=one)}

    def _write_others(self) -> None:
        """Write what does not change with the comments."""
        for old in self._path.glob(".old-*"):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(str(self._app.static_folder), self._path / "static", dirs_exist_ok=True)
        self._write("own.css")
        self._write("privacy")
        link = self._path / DEFAULT
        link.unlink(missing_ok=True)
        link.symlink_to(self._book.language)

    def _write_comment(self, comment_id: str) -> None:
        for name in (f"comments/{comment_id}", f"comments/{comment_id}.atom"):
            self._write(name)
        comment = public_comments.find(self._select, comment_id)
        picture = comment and comment_form.picture_of(comment.name, self._book, self._key)
        if picture and not picture.glyph:
            self._write(f"pictures/{picture.id}.svg")

    def _write(self, name: str, address: str = "") -> None:
        """Write what the program answers there, where it is missing: a page in each language, or a file."""
        for language in self._languages[-1:] if "." in name else self._languages:
            path = self._path / (name if "." in name else f"{language}/{name}.html")
            with suppress(NotFound):
                if not path.exists():
                    # It has its own context of Flask.
                    text = Context().run(self._answer, address or f"/{name}", language)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files.replace_file(path, text)

    def _answer(self, address: str, language: str) -> str:
        environ = {"HTTP_ACCEPT_LANGUAGE": language, public_comments.AS_FILE: True}
        url = f"{self._base_url}/"
        with self._app.test_request_context(address, base_url=url, environ_overrides=environ):
            return self._app.make_response(self._app.dispatch_request()).get_data(as_text=True)

    def _delete_changes(self, names: Sequence[str]) -> None:
        from guestbook.storage import database

        if names:
            where, named = plain_sql.listed(names)
            sql, engine = f"DELETE FROM book_state WHERE name IN {where}", database.db.engine
            database.write_with_retry(engine, lambda connection: plain_sql.run(connection, sql, **named))
        for name in names:
            del self._changes[name]
