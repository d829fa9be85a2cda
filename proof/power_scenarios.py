"""What a book does while its disk is recorded, and the twins of the program with one line changed.

`python -m proof.power_scenarios FOLDER NAME…` runs them, each in a forked child; power_cut starts it.
"""

import ctypes
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

import guestbook
from guestbook.lib import files
from guestbook.lib.encryption import CannotDecrypt, Keyring, of_row
from guestbook.outbound.attempt_recorder import Tally
from guestbook.settings import Settings, load
from guestbook.storage import sqlite_file
from guestbook.storage.database import db

OLD_SCHEMA = (
    Path(__file__).parents[1] / "tests/storage/schemas/0024.sql"
)  # the first version that is upgraded
BOOK, DATABASE = "book", "guestbook.db"  # names of the data folder, and of the file in it
RECEIVER = "PROOF_RECEIVER"  # the variable with the address of a receiver
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMMENTS = 3  # in a book before it is recorded
WHEN = "2026-01-31T23:59:59.123Z"
OLD_ROWS: dict[str, dict[str, str | int]] = {
    "webhooks": {
        **{"id": "w" * 32, "name": "Bot", "url": "http://127.0.0.1:1/", "format": "json", "headers": "{}"},
        **{"events": "comment.created", "secret": SECRET, "created_at": WHEN},
        **{"failures_in_a_row": 0, "unreachable_in_a_row": 0},
    },
    "comments": {"id": "c" * 32, "name": "Ada", "message": "old", "status": "published", "created_at": WHEN},
}


def environ_of(disk: Path, journal: str) -> dict[str, str]:
    """Return the settings of the book on a disk; its secret key is in the data folder."""
    url = f"sqlite:///{disk / BOOK / DATABASE}?journal_mode={journal}"
    return {
        "GUESTBOOK_DATA_DIR": str(disk / BOOK),
        "GUESTBOOK_DATABASE_URL": url,
        "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    }


class RecordedBook:
    """A book whose disk is recorded from `begin` on."""

    def __init__(self, folder: Path, journal: str) -> None:
        self.folder, self.disk, self.journal = folder, folder / "disk", journal
        self.disk.mkdir(parents=True)
        self.environ = environ_of(self.disk, journal)
        self.receiver = os.environ[RECEIVER]
        self._recorder: Any
        self.app: Flask

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
        self.run("webhooks", "add", self.receiver, "--secret", SECRET)

    def set_up(self) -> None:
        """Start with a copy of the book with a webhook and comments that `main` has made."""
        shutil.copytree(self.folder.parent / self.journal / "disk", self.disk, dirs_exist_ok=True)
        self.start()

    def sign(self, message: str) -> None:
        """Sign as a visitor; the book must answer that the comment is there."""
        client = self.app.test_client()
        page = client.get("/").get_data(as_text=True)
        inputs = re.findall(r"<input[^>]*type=.?hidden[^>]*>", page.partition('action="/comments"')[2])
        form = {
            re.findall(r'name="?([^" >]+)', one)[0]: re.findall(r'value="([^"]*)', one)[0] for one in inputs
        }
        answer = client.post("/comments", data=form | {"name": "Ada", "website": "", "message": message})
        if answer.status_code != 303:
            raise RuntimeError(f"{answer.status}: {answer.get_data(as_text=True)}")

    def close(self) -> None:
        """Close the file of the database, as the end of a program does."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def begin(self, **more: Any) -> None:
        """Keep what is on the disk, and record from here on; what the book holds is promised."""
        with self._promised(more) as promise:
            pass  # what reads the book is closed again, and leaves nothing beside it
        paths = {path.relative_to(self.disk).as_posix(): path for path in self.disk.rglob("*")}
        numbers = {name: path.stat().st_ino for name, path in paths.items()}
        shutil.copytree(self.disk, self.folder / "before")
        (self.folder / "numbers").write_text(json.dumps(numbers))
        self._recorder = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._recorder.record_begin(bytes(self.disk), bytes(self.folder / "log"))
        self._recorder.record_promise(promise)

    def promise(self, **more: Any) -> None:
        """Note what the book holds now: it was answered or recorded, so it must survive."""
        with self._promised(more) as promise:
            # The book is closed afterwards: that may sync what the program did not.
            self._recorder.record_promise(promise)

    @contextmanager
    def _promised(self, more: dict[str, Any]) -> Iterator[bytes]:
        path = self.disk / BOOK / DATABASE
        if not path.exists():
            yield b"{}"
            return
        with closing(sqlite3.connect(path)) as book:
            yield json.dumps(contents(book, load(self.environ).keyring) | more).encode()


def contents(book: sqlite3.Connection, keyring: Keyring) -> dict[str, list[str]]:
    """Return the comments, deliveries, attempts and secrets of a book, each as a text."""
    queries = {
        "comments": "SELECT id || message FROM comments",
        "deliveries": "SELECT id || event FROM deliveries",
        "attempts": "SELECT delivery_id || number FROM attempts",
    }
    found = {name: sorted(one for (one,) in book.execute(query)) for name, query in queries.items()}
    rows = book.execute("SELECT id, secret FROM webhooks").fetchall()
    return found | {"secrets": sorted(f"{key} {_secret(keyring, key, value)}" for key, value in rows)}


def _secret(keyring: Keyring, key: str, value: str) -> str:
    try:
        return keyring.decrypt(value, of_row("webhook secret", key))
    except CannotDecrypt:
        return "cannot be decrypted"


def signing(book: RecordedBook) -> None:
    """Sign three times, the last time after the end of the program and a new start."""
    book.set_up()
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


def encrypting(book: RecordedBook) -> None:
    """Change the secret key, and encrypt the secrets with the new one, while visitors sign."""
    book.set_up()
    book.sign("now")  # so the write-ahead log is there, and a new one does not sync the folder
    book.begin()
    book.run("encrypt-secrets", "--new-key")
    book.promise()


def backing_up(book: RecordedBook) -> None:
    """Make a backup in place of an earlier one."""
    book.set_up()
    path = str(book.disk / BOOK / "copy.db")
    book.run("backup", path)
    book.begin(backup=["copy.db", "before 0"])
    book.sign("now")
    book.run("backup", path)
    book.promise(backup=["copy.db", "now"])


def upgrading(book: RecordedBook) -> None:
    """Upgrade a book of the first version that can be."""
    (book.disk / BOOK).mkdir()
    with closing(sqlite3.connect(book.disk / BOOK / DATABASE)) as old:
        old.executescript(OLD_SCHEMA.read_text())
        for table, row in OLD_ROWS.items():
            places = ", ".join(f":{name}" for name in row)
            old.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", row)
        old.commit()
    book.start()
    book.begin()
    book.run("upgrade")
    book.promise(backup=["backups/*.db", "old"])


def restoring(book: RecordedBook) -> None:
    """Put a backup in the place of a book that has one comment more."""
    book.set_up()
    path = str(book.folder / "copy.db")
    book.run("backup", path)
    book.sign("since")
    book.begin()
    book.run("restore", path, "--yes")
    book.promise(backup=["backups/*.db", "since"], instead=True)


SCENARIOS: dict[str, tuple[Callable[[RecordedBook], None], str]] = {
    "signing, with a write-ahead log": (signing, "wal"),
    "signing, with a rollback journal": (signing, "delete"),
    "a pass, with a write-ahead log": (sending, "wal"),
    "a pass, with a rollback journal": (sending, "delete"),
    "the first start, with a write-ahead log": (first_start, "wal"),
    "the first start, with a rollback journal": (first_start, "delete"),
    "backup": (backing_up, "wal"),
    "encrypt-secrets": (encrypting, "wal"),
    "upgrade": (upgrading, "wal"),
    "restore": (restoring, "wal"),
}


def normal_synchronous() -> None:
    """Let SQLite wait for the disk less often."""
    set_pragmas = sqlite_file.set_pragmas

    def set_less(connection: sqlite3.Connection, journal: str, read_wait: float) -> None:
        set_pragmas(connection, journal, read_wait)
        connection.execute("PRAGMA synchronous = NORMAL")

    sqlite_file.set_pragmas = set_less


def no_folder_sync() -> None:
    """Do not sync the folder in which a file was renamed."""

    def wait_for_nothing(_folder: Path) -> None:
        pass

    files.sync_folder = wait_for_nothing  # type: ignore[assignment]  # in this process alone


def key_in_place() -> None:
    """Write the secret key's file where it stays."""

    def write(path: Path, text: str, **_how: bool) -> None:
        path.write_text(text)

    files.replace_file = write


# Each with the scenario in which it loses something.
TWINS: dict[str, tuple[Callable[[], None], str]] = {
    "synchronous = NORMAL with a rollback journal": (normal_synchronous, "signing, with a rollback journal"),
    "no fsync of the folder after a rename": (no_folder_sync, "encrypt-secrets"),
    "a key file written in place": (key_in_place, "the first start, with a write-ahead log"),
}


def settings_of(disk: Path, journal: str) -> Settings:
    """Read the settings of a book on a disk that lost its power, as a command would."""
    return load(environ_of(disk, journal), alone=True)


def scenario_of(name: str) -> tuple[Callable[[RecordedBook], None], str]:
    """Return what runs under the name of a scenario or a twin, and the journal mode."""
    return SCENARIOS[TWINS[name][1] if name in TWINS else name]


@contextmanager
def child() -> Iterator[bool]:
    """Fork; the child gets True, and ends with the block. Raise RuntimeError here if it fails."""
    if pid := os.fork():
        yield False
        if os.waitpid(pid, 0)[1]:
            raise RuntimeError("a recorded book failed; its words stand above")
        return
    code = 1
    try:
        yield True
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(folder: Path, names: list[str]) -> None:
    """Record the scenarios and twins with these names, in folders that are numbered."""
    for journal in ("wal", "delete"):
        book = RecordedBook(folder / journal, journal)
        book.make()
        for number in range(COMMENTS):
            book.sign(f"before {number}")
        book.close()
    for number, name in enumerate(names):
        with child() as is_child:
            if is_child:
                if name in TWINS:
                    TWINS[name][0]()
                act, journal = scenario_of(name)
                act(RecordedBook(folder / str(number), journal))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
