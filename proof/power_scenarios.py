"""What a book does while its disk is traced, and the twins of the program with one line changed.

`python -m proof.power_scenarios FOLDER` runs those that power_cut asks for, each in a forked child.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_engine

import guestbook
from guestbook.background.doctor import State, examination
from guestbook.lib import files
from guestbook.lib.encryption import Keyring, of_row
from guestbook.outbound.attempt_recorder import Tally
from guestbook.settings import load
from guestbook.storage import sqlite_file
from guestbook.storage.database import db
from proof.disk import DISK, LIVE, PROMISES
from tests.storage import earlier_books
from tests.support import fork_server
from tests.support.visitor import Visitor

BOOK, DATABASE = "new/book", "guestbook.db"  # the data folder, which is in a new one, and the file in it
RECEIVER = "PROOF_RECEIVER"  # the variable with the address of a receiver
BEFORE, FAULT = "before", "fault"  # in the folder of a recording: the disk at its begin, and why it failed
AFTER = "after"  # there, the journal mode, and the promise after which the power was cut
LIMIT = 120  # seconds for a recording
COMMENTS = 3  # in a book before it is traced
EXPECTED = ("database", "tables", "secret key", "damage", "writing", "secrets", "keys")  # doctor's subjects
QUERIES = {
    "comments": "SELECT id || message FROM comments",
    "deliveries": "SELECT id || event FROM deliveries",
    "attempts": "SELECT delivery_id || number FROM attempts",
    "inbound events": "SELECT id FROM inbound_events",
}
# What a promise may say beside what the book holds.
COPY = "copy"  # the pattern of a file's name, and a text that one of these files has
GONE = "gone"  # the texts of comments that were deleted
FILE = "file"  # the name of another file, in which the book is
INSTEAD = "instead"  # whether it takes the place of the promise before, which holds until then

Promise = dict[str, Any]
Act = Callable[["RecordedBook"], None]


def environ_of(disk: Path, journal: str) -> dict[str, str]:
    """Return the settings of the book on a disk; its secret key is in the data folder."""
    return {
        "GUESTBOOK_DATA_DIR": str(disk / BOOK),
        "GUESTBOOK_DATABASE_URL": f"sqlite:///{disk / BOOK / DATABASE}?journal_mode={journal}",
        "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    }


class RecordedBook:
    """A book whose disk is traced from its first promise on."""

    app: Flask

    def __init__(self, folder: Path, journal: str) -> None:
        self.folder, self.disk, self.journal = folder, folder / DISK, journal
        self.path = self.disk / BOOK / DATABASE
        self.disk.mkdir(parents=True, exist_ok=True)
        self.environ = environ_of(self.disk, journal)
        self._promises = os.open(folder / PROMISES, os.O_WRONLY | os.O_CREAT)

    def start(self) -> None:
        """Start the program."""
        self.app = guestbook.create_app(self.environ)

    def run(self, *words: str) -> str:
        """Run a command, which must succeed."""
        done = self.app.test_cli_runner().invoke(args=words)
        if done.exit_code:
            raise RuntimeError(f"{' '.join(words)}: {done.output.strip()} {done.exception!r}")
        return str(done.stdout)

    def make(self) -> None:
        """Make a book with a webhook, as the owner would."""
        self.start()
        self.run("init-db")
        self.run("webhooks", "add", os.environ[RECEIVER])

    def set_up(self, journal: str = "") -> None:
        """Start with a copy of the book with a webhook and comments that `main` has made."""
        shutil.copytree(self.folder.parent / (journal or self.journal) / DISK, self.disk, dirs_exist_ok=True)
        self.start()

    def sign(self, message: str) -> None:
        """Sign as a visitor; the book must answer that the comment is there."""
        answer = Visitor(self.app).sign(message=message)
        assert answer.status_code == 303, answer.text

    def close(self) -> None:
        """Close the file of the database, as the end of a program does."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def begin(self, **more: Any) -> None:
        """Keep what is on the disk; it is traced from here on. What the book holds is promised."""
        with self._promised(more) as promise:
            pass  # What reads the book is closed again, and leaves nothing beside it.
        shutil.copytree(self.disk, self.folder / BEFORE)
        os.write(self._promises, promise)

    def promise(self, **more: Any) -> None:
        """Note what the book holds now: it was answered or recorded, so it must survive."""
        with self._promised(more) as promise:
            # The book is closed afterwards: that may sync what the program did not.
            os.write(self._promises, promise)

    @contextmanager
    def _promised(self, more: Promise) -> Iterator[bytes]:
        if not self.path.exists():
            yield b"{}"
            return
        with closing(sqlite3.connect(self.path)) as book:
            yield json.dumps(contents(book, load(self.environ).keyring) | more).encode()

    def go_on(self, promise: Promise) -> None:
        """Go on after a cut as the owner would. Raise RuntimeError if doctor finds a fault."""
        os.write(self._promises, json.dumps(promise).encode())
        self.start()
        self.run("upgrade" if promise else "init-db")
        self.sign("after the cut")
        self.run("encrypt-secrets")
        self.promise(**{name: promise[name] for name in (COPY, GONE) if name in promise})
        for one in examination.examine(self.app.config["GUESTBOOK"]):
            if one.state is State.PROBLEM and one.subject in EXPECTED:
                raise RuntimeError(f"{one.subject}: {one.sentence}")


def contents(book: sqlite3.Connection, keyring: Keyring) -> dict[str, list[str]]:
    """Return what a book must not lose, each row as a text. Raise CannotDecrypt."""
    found = {name: sorted(one for (one,) in book.execute(query)) for name, query in QUERIES.items()}
    secrets = book.execute("SELECT id, secret FROM webhooks").fetchall()
    return found | {
        "secrets": [keyring.decrypt(value, of_row("webhook secret", key)) for key, value in secrets]
    }


def signing(book: RecordedBook, *, other_before: bool = False) -> None:
    """Sign three times, the last time after the end of the program and a new start."""
    book.set_up({WAL: ROLLBACK, ROLLBACK: WAL}[book.journal] if other_before else book.journal)
    book.begin()
    for number in range(3):
        book.sign(f"now {number}")
        book.promise()
        if number == 1:
            book.close()
            book.start()


def sending(book: RecordedBook) -> None:
    """Send the webhooks of comments in a pass."""
    book.set_up()
    add = Tally.add

    def add_and_promise(self: Tally, other: Tally) -> None:
        add(self, other)  # the program calls it after the commit
        book.promise()

    book.begin()
    Tally.add = add_and_promise  # type: ignore[method-assign]  # in this process alone
    book.run("cron")
    book.promise()


def first_start(book: RecordedBook) -> None:
    """Start where there is nothing, add a webhook and sign."""
    book.begin()
    book.make()
    book.promise()
    book.sign("first")
    book.promise()


def receiving(book: RecordedBook) -> None:
    """Receive a webhook, and let a pass make a comment of it."""
    book.set_up()
    words = ("--verify", "none", "--action", "comment", "--template", "hello", "--json")
    url = json.loads(book.run("sources", "add", "CI", *words))["url"]
    book.begin()
    answer = book.app.test_client().post(url, json={})
    assert answer.status_code == 202, answer.text
    book.promise()
    book.run("cron")
    book.promise()


def deleting(book: RecordedBook) -> None:
    """Delete a comment; it must not come back."""
    book.set_up()
    book.begin()
    with closing(sqlite3.connect(book.path)) as rows:
        key, message = rows.execute("SELECT id, message FROM comments").fetchone()
    book.run("comments", "delete", key, "--yes")
    book.promise(gone=[key + message], instead=True)


def importing(book: RecordedBook) -> None:
    """Import comments."""
    book.set_up()
    path, rows = book.folder / "comments.csv", (f"Ada,{number},2026-01-31\n" for number in range(30))
    path.write_text("".join(("name,message,created_at\n", *rows)))
    book.begin()
    book.run("comments", "import", str(path))
    book.promise()


def encrypting(book: RecordedBook) -> None:
    """Change the secret key, and encrypt the secrets with the new one, while visitors sign."""
    book.set_up()
    book.sign("now")  # so the write-ahead log is there, and a new one does not sync the folder
    book.begin()
    book.run("encrypt-secrets", "--new-key")
    book.promise()


def upgrading(book: RecordedBook) -> None:
    """Upgrade a book of the first version that can be."""
    book.path.parent.mkdir(parents=True)
    earlier_books.fill(engine := create_engine(f"sqlite:///{book.path}"))
    engine.dispose()
    book.start()
    book.begin()
    book.run("upgrade")
    book.promise(copy=[f"{BOOK}/backups/*.db", str(earlier_books.ROWS["comments"]["message"])])


def restoring(book: RecordedBook) -> None:
    """Put a backup in the place of a book that has one comment more."""
    book.set_up()
    path = str(book.folder / "copy.db")
    book.run("backup", path)
    book.sign("since")
    book.begin()
    book.run("restore", path, "--yes")
    book.promise(copy=[f"{BOOK}/backups/*.db", "since"], instead=True)


def moving(book: RecordedBook) -> None:
    """Copy the book to another file."""
    book.set_up()
    book.begin()
    book.run("migrate-to", f"sqlite:///{book.path.with_name('moved.db')}")
    book.promise(file="moved.db")


def copying(book: RecordedBook, *, command: str, path: str, found: str = "") -> None:
    """Write something in place of an earlier one; a time in its name may differ."""
    book.set_up()
    found = found or path.replace(".", "*.")
    book.run(*command.split(), str(book.disk / path))
    book.begin(copy=[found, "before 0"])
    book.sign("now")
    book.run(*command.split(), str(book.disk / path))
    book.promise(copy=[found, "now"])


WAL, ROLLBACK = "wal", "delete"
BOTH = {"with a write-ahead log": WAL, "with a rollback journal": ROLLBACK}
IN_BOTH: dict[str, Act] = {
    "signing": signing,
    "signing after a change of the journal": partial(signing, other_before=True),
    "a pass": sending,
    "the first start": first_start,
    "backup": partial(copying, command="backup", path=f"{BOOK}/copy.db"),
    "encrypt-secrets": encrypting,
    "upgrade": upgrading,
    "restore": restoring,
}
SCENARIOS: dict[str, tuple[Act, str]] = {
    **{f"{name}, {how}": (act, mode) for name, act in IN_BOTH.items() for how, mode in BOTH.items()},
    "receiving a webhook": (receiving, WAL),
    "deleting a comment": (deleting, ROLLBACK),
    "import": (importing, WAL),
    "backup --keep": (partial(copying, command="backup --keep 1", path=f"{BOOK}/copy.db"), WAL),
    "export": (partial(copying, command="comments export", path=f"{BOOK}/comments.jsonl"), WAL),
    "export-site": (partial(copying, command="export-site", path="site", found="site/index.html"), WAL),
    "migrate-to": (moving, WAL),
}


def less_synchronous(mode: str) -> None:
    """Let SQLite wait for the disk less often."""
    set_pragmas = sqlite_file.set_pragmas

    def set_less(connection: sqlite3.Connection, journal: str, read_wait: float) -> None:
        set_pragmas(connection, journal, read_wait)
        connection.execute(f"PRAGMA synchronous = {mode}")

    sqlite_file.set_pragmas = set_less


def no_sync_of(*folders: str) -> None:
    """Do not sync folders with these names, or any folder."""
    sync_folder = files.sync_folder

    def sync_others(folder: Path) -> None:
        if folders and folder.name not in folders:
            sync_folder(folder)

    files.sync_folder = sync_others


def in_place(path: Path, text: str, **_how: bool) -> None:
    """Write a file where it stays."""
    path.write_text(text)


FIRST_START = "the first start, with a write-ahead log"
# Each with the scenario in which it loses something.
TWINS: dict[str, tuple[Callable[[], None], str]] = {
    "synchronous = NORMAL": (partial(less_synchronous, "NORMAL"), "signing, with a rollback journal"),
    "synchronous = FULL": (partial(less_synchronous, "FULL"), "signing, with a rollback journal"),
    "no fsync of the folder after a rename": (no_sync_of, "backup, with a write-ahead log"),
    "a key file written in place": (partial(setattr, files, "replace_file", in_place), FIRST_START),
    "the old key comes back": (partial(no_sync_of, "book"), "encrypt-secrets, with a write-ahead log"),
    "a new data folder vanishes": (partial(no_sync_of, "new"), FIRST_START),
    "the folder above a new data folder vanishes": (partial(no_sync_of, DISK), FIRST_START),
    "the folder of backups vanishes": (partial(no_sync_of, "book"), "restore, with a write-ahead log"),
    "an export takes its name too early": (partial(setattr, os, "fsync", lambda _file: None), "export"),
}


@contextmanager
def child(fault: Path) -> Iterator[bool]:
    """Fork; the child gets True, ends with the block, and writes why it failed."""
    if pid := os.fork():
        yield False
        if status := os.waitpid(pid, 0)[1]:
            fault.write_text(
                f"It ended with status {status}; {signal.SIGALRM.value} is after {LIMIT} seconds."
            )
        return
    signal.alarm(LIMIT)
    try:
        yield True
    except BaseException:
        fault.write_text(traceback.format_exc())
    finally:
        os._exit(0)


def record(place: Path, name: str) -> None:
    """Record a scenario or a twin in a folder, or else how the book that is there goes on after a cut."""
    if not name:
        journal, promise = json.loads((place / AFTER).read_text())
        book = RecordedBook(place, journal)
        shutil.copytree(place / BEFORE, place / DISK, dirs_exist_ok=True)
        book.go_on(promise)
        return
    change, scenario = TWINS.get(name, (lambda: None, name))
    change()
    act, journal = SCENARIOS[scenario]
    act(RecordedBook(place, journal))


def main(folder: Path) -> None:
    """Record what standard input names, a line of JSON for all that an answer waits for."""
    fork_server.warm_up()
    for journal in (WAL, ROLLBACK):
        book = RecordedBook(folder / journal, journal)
        book.make()
        for number in range(COMMENTS):
            book.sign(f"before {number}")
        book.close()
    for line in sys.stdin:
        for place, name in json.loads(line).items():
            (folder / place).mkdir(exist_ok=True)
            (folder / place).rename(folder / LIVE)
            with child(folder / LIVE / FAULT) as is_child:
                if is_child:
                    record(folder / LIVE, name)
            (folder / LIVE).rename(folder / place)
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
