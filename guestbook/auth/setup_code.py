"""The code with which the owner sets up a new book in the browser: in a link, or in a file.

Of the latest links, the book's state has hashes and ends. The file lies in the data folder. It counts in any
state of the tables, for whoever can read it has the book's data anyway.
"""

import hmac
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from guestbook.auth import login
from guestbook.lib import clock, files, ids
from guestbook.storage import audit_log, row_changes
from guestbook.storage.database import writing
from guestbook.storage.models import BookState

CODE_LASTS = timedelta(minutes=30)
CODE_BYTES = 16  # random bytes: nobody can guess them
CODE_FILE = "setup-code.txt"  # a name in the data folder
MOST_LINKS = 3  # An owner may copy the link of one command, and then start another that prints one too.
SETUP_PATH = "/admin/setup"
SETUP_LINK = "setup_link"  # the name of its row in the book's state, and a noun in the audit log
USED_CODE = "used_setup_code"  # the name of the row with the hash of the code that was used last
UNKNOWN = "This code is not right. Perhaps a newer one was made since."
EXPIRED = "This code has expired: each is valid for 30 minutes."
USED = "This code was used, or it is no longer needed because the book has a password."


class UnusableCode(Exception):
    """The code opens nothing, for one of the reasons above."""


def new_link(base_url: str) -> str | None:
    """Make a link to a book without a password; None when it has one. The transaction is its own.

    The links before it work until their end, but only the latest ones.
    """
    code = secrets.token_hex(CODE_BYTES)
    with writing() as session:
        if login.has_password(session):
            return None
        row = session.get(BookState, SETUP_LINK)
        links = [f"{ids.of_secret(code)} {clock.to_text(clock.now() + CODE_LASTS)}"]
        links += row.value.splitlines() if row else []
        _store(session, SETUP_LINK, "\n".join(links[:MOST_LINKS]))
        audit_log.record(session, "added", SETUP_LINK)
    return f"{base_url}{SETUP_PATH}/{code}"


def check(session: Session | None, data_dir: Path, code: str) -> None:
    """Raise UnusableCode if a code does not count. Without a session, only that of the file does."""
    digest, (in_file, end) = ids.of_secret(code), _in_file(data_dir)
    known = select(BookState.name, BookState.value).where(BookState.name.in_((SETUP_LINK, USED_CODE)))
    rows = session.execute(known).all() if session else []
    stored = {str(name): str(value) for name, value in rows}
    has_password = session is not None and login.has_password(session)
    if not hmac.compare_digest(ids.of_secret(in_file), digest):
        ends = dict(line.split(" ", 1) for line in stored.get(SETUP_LINK, "").splitlines())
        if has_password or digest not in ends:
            raise UnusableCode(USED if has_password else UNKNOWN)
        end = clock.stored(ends[digest])
    if stored.get(USED_CODE) == digest:
        raise UnusableCode(USED)
    if end <= clock.now():
        raise UnusableCode(EXPIRED)


def use_up(session: Session, data_dir: Path, code: str) -> None:
    """Use a code up in the caller's transaction. Raises UnusableCode, also for the later of two requests.

    That one waits for the lock of the row, and finds the password of the other.
    """
    row_changes.insert_missing(session.connection(), BookState, name=USED_CODE, value="")
    session.execute(select(BookState.value).where(BookState.name == USED_CODE).with_for_update())
    check(session, data_dir, code)
    _store(session, USED_CODE, ids.of_secret(code))


def _store(session: Session, name: str, value: str) -> None:
    """Store a value in the book's state."""
    row_changes.insert_missing(session.connection(), BookState, name=name, value="")
    session.connection().execute(update(BookState).where(BookState.name == name).values(value=value))


def offer_file(data_dir: Path) -> None:
    """Let the file have a code that counts, for its owner to read."""
    if _in_file(data_dir)[1] <= clock.now():
        end = clock.to_text(clock.now() + CODE_LASTS)
        text = f"{secrets.token_hex(CODE_BYTES)}\n\nThis code is valid until {end}\n"
        with suppress(OSError):  # Doctor says so; there is still the link.
            files.replace_file(data_dir / CODE_FILE, text, is_secret=True)


def is_requested(data_dir: Path) -> bool:
    """Whether the file is empty, as an owner leaves it who has forgotten the password, or its code counts."""
    path = data_dir / CODE_FILE
    return (path.is_file() and not path.stat().st_size) or _in_file(data_dir)[1] > clock.now()


def remove_file(data_dir: Path) -> None:
    """Remove the file when its code is no longer needed."""
    with suppress(OSError):
        (data_dir / CODE_FILE).unlink()


def _in_file(data_dir: Path) -> tuple[str, datetime]:
    """Return the code in the file and when it ends; one that has ended long ago when there is none."""
    with suppress(OSError, ValueError):
        code, *_, end = (data_dir / CODE_FILE).read_text().split()
        return code, clock.from_text(end)
    return "", ids.EPOCH
