"""The checks of the database: whether it works, fits the program, and holds secrets that can be read."""

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from guestbook.background.doctor import PATIENCE, DoctorFinding, ExaminedBook, ok, problem, warning
from guestbook.lib import files
from guestbook.lib.encryption import EXTRA_OF_ENCRYPTION, NO_PACKAGE, has_package
from guestbook.lib.text import counted
from guestbook.settings import database_url, installation, secret_key
from guestbook.settings.environment import SETTING_PREFIX
from guestbook.storage import (
    database,
    database_errors,
    encrypted_columns,
    engines,
    plain_sql,
    schema_version,
    sqlite_file,
    writable_check,
)
from guestbook.storage.database_errors import FILE_DAMAGED, Fault
from guestbook.storage.schema_version import Age

ON_SERVER = (
    "See whether the database server runs, and whether GUESTBOOK_DATABASE_URL has the right host, port, "
    "user, password and name. The guestbook goes on by itself when the database is back."
)
EMPTY = "If there was a book, restore its backup. Otherwise create the tables."
GOES_ON = "The guestbook goes on by itself then, and nothing stored is lost."
BY_CODE = {  # https://www.sqlite.org/rescode.html
    sqlite3.SQLITE_FULL: f"The disk is full: make room, or ask your host for more. {GOES_ON}",
    sqlite3.SQLITE_READONLY: "Let the user that runs the guestbook write the file and its folder. If the "
    f"disk is mounted read-only, look for a fault of the disk. {GOES_ON}",
    sqlite3.SQLITE_CANTOPEN: "See whether the file and its folder are there, and whether this user may open "
    f"them. {GOES_ON}",
    sqlite3.SQLITE_IOERR: "The disk is full or broken, or its quota is used up: make room, or ask your host. "
    f"{GOES_ON}",
    sqlite3.SQLITE_BUSY: f"Look for a program that has the file open, such as sqlite3, and end it. {GOES_ON}",
}
ANY_SQLITE = f"Ask your host about this message. {GOES_ON}"


def advice_of(error: SQLAlchemyError, book: ExaminedBook) -> DoctorFinding:
    """Return the problem that an error means."""
    fault = database_errors.fault_of(error)
    sentence = f"{fault.value}: {database_errors.words(error)}."
    if fault.repair:
        advice = EMPTY if fault is Fault.NO_TABLES else "Run this command."
        return problem(f"{fault.value}.", advice, installation.typed(fault.repair))
    if fault is Fault.DAMAGED:
        return problem(sentence, database_errors.advice_on_damage(error))
    if fault is Fault.AWAY:
        said = getattr(error, "orig", None)
        code = sqlite_file.primary_code(said) if isinstance(said, sqlite3.Error) else -1
        return problem(sentence, BY_CODE.get(code, ANY_SQLITE) if book.settings.on_sqlite else ON_SERVER)
    return problem(sentence, "See the log of the web server, and report this fault.")


CLOSED_ADVICE = "Let the user that runs the guestbook enter the folder, or keep the database in another one."
VERSION_ADVICE = {
    Age.OLDER: "Upgrade the book; it makes a backup.",
    Age.TOO_OLD: "Upgrade the book with an earlier program first: the page on upgrades says how.",
    Age.NEWER: "Update the program, or restore a backup from before.",
}
STEPS = 10_000  # of SQLite's machine between two looks at the clock
JOURNAL_ADVICE = (
    "Put this line in .env in the data folder and restart the web server. Better still, use PostgreSQL or "
    "MariaDB, or a folder on a local disk."
)


def check_connection(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the database can be reached."""
    where = book.engine.url.render_as_string(hide_password=True)
    if book.file and (folder := files.closed_folder(book.file)):
        sentence = f"This user may not enter {folder}, where {book.file} lies."
        yield problem(sentence, CLOSED_ADVICE, files.opening(folder))
        return
    if book.file and not book.file.exists():
        yield problem(f"There is no file {book.file}.", EMPTY, installation.typed("init-db"))
        return
    try:
        with book.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as error:
        yield advice_of(error, book)
    else:
        yield ok(f"{where} can be reached.")


def check_writing(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Write a little and roll it back."""
    try:
        if reason := writable_check.error(book.engine):
            raise reason
        with database.write(book.engine, lock_wait=PATIENCE):
            pass
    except DBAPIError as error:
        if isinstance(error, OperationalError) and writable_check.is_busy(error):
            yield warning(
                f"Another program has kept the database locked for {PATIENCE} seconds or longer.",
                "Run doctor again. If it stays so, look for a program that has the file open, such as "
                "sqlite3 or a backup, and end it. Until then comments are refused. Nothing stored is lost.",
            )
        else:
            yield advice_of(error, book)
    else:
        yield ok("The database can be written.")


def check_damage(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Let SQLite look at its pages, for two seconds at most; a server looks after its own."""
    if not book.file:
        return
    until = time.monotonic() + PATIENCE
    with book.engine.connect() as connection:
        raw = plain_sql.sqlite_connection(connection)
        raw.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        try:
            said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
        except OperationalError:
            if time.monotonic() <= until:
                raise
            yield ok(f"No damage was found within {PATIENCE} seconds, in which not all was read.")
            return
        finally:
            raw.set_progress_handler(None, 0)
    if said == "ok":
        yield ok("SQLite finds no damage in the file.")
    else:
        yield problem(f"{Fault.DAMAGED.value}: {said.splitlines()[-1]}.", FILE_DAMAGED)


def check_version(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Compare the tables with the program."""
    age, head = schema_version.age(database.stored_version(book.engine)), schema_version.head()
    if age is Age.CURRENT:
        yield ok(f"The tables have the version that the program needs, {head}.")
    else:
        fault = database.VERSION_FAULTS[age]
        command = installation.typed(fault.repair) if fault.repair else None
        yield problem(f"{fault.value}.", VERSION_ADVICE[age], command)


MOUNTS = Path("/proc/self/mounts")  # Linux's, see proc_pid_mounts(5) and fstab(5)
NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|ocfs2|gfs2|davfs2?|ncpfs"
    r"|fuse\.(sshfs|glusterfs|ceph|ceph-fuse|rclone|s3fs|gcsfuse|davfs2?|mount_davfs|smbnetfs|moosefs|juicefs)"
)
OCTAL = re.compile(r"\\([0-7]{3})")


def check_journal(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the journal mode suits the file system."""
    if not book.file:
        return
    kind, mode = type_of(book.file.parent), engines.journal_mode(book.engine)
    if not NETWORK_TYPES.fullmatch(kind or ""):
        yield ok(f"The journal mode is {mode}, on the file system {kind or '(unknown)'}.")
    elif mode == "wal":
        line = f"GUESTBOOK_DATABASE_URL={database_url.of_file(book.file)}?journal_mode=delete"
        yield problem(
            f"The database lies on a network drive ({kind}), and its journal mode is wal. SQLite's WAL is "
            "not safe there.",
            JOURNAL_ADVICE,
            line,
        )
    else:
        yield ok(f"The journal mode is {mode}, which works on a network drive ({kind}).")


def type_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of its file system, such as ext4 or nfs4; None where the system does not say."""
    found, deepest = None, -1
    with suppress(OSError):
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            _device, where, kind, *_ = line.split(" ")
            place = Path(OCTAL.sub(lambda code: chr(int(code[1], 8)), where))
            if folder.resolve().is_relative_to(place) and len(place.parts) >= deepest:
                found, deepest = kind, len(place.parts)
    return found


NOUNS = {
    **{"webhooks": "webhook", "sources": "source", "book_state": "setting"},
    "reply_addresses": "visitor with an e-mail address",
}
OLD_KEY_ADVICE = (
    "Put the old secret key in {}, or in {}SECRET_KEY_FALLBACKS, restart the web server and workers, "
    "and run encrypt-secrets. If it is lost, give each of these a new secret; the page on the key says how."
)


def check_stored_secrets(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look at every secret: those that nobody can read keep deliveries waiting."""
    keyring = book.settings.keyring
    with book.engine.connect() as connection:
        found = encrypted_columns.look(connection, keyring)
    if found.unreadable:
        rows = Counter(table for table, _ in found.unreadable)
        which = " and ".join(counted(rows[table], noun) for table, noun in NOUNS.items() if rows[table])
        sentence = f"Secrets of {which} cannot be decrypted, so what needs them waits. {found.why}"
        if found.why == NO_PACKAGE:
            yield problem(sentence, "Install it.", installation.install_command(EXTRA_OF_ENCRYPTION))
        else:
            path = book.settings.data_dir / secret_key.OLD_KEYS_FILE
            yield problem(sentence, OLD_KEY_ADVICE.format(path, SETTING_PREFIX))
    if found.total and not has_package():
        if not found.unreadable:
            sentence = "Secrets are stored unencrypted, because the package cryptography is not installed."
            command = installation.install_command(EXTRA_OF_ENCRYPTION)
            yield warning(sentence, "Install it, then run encrypt-secrets.", command)
    elif found.encrypted:
        again = f"{counted(found.encrypted, 'secret')} must be encrypted again with the present secret key."
        waits = " Until then deliveries or inbound events wait." if found.unbound else ""
        report = problem if waits else warning
        yield report(again + waits, "Encrypt them.", installation.typed("encrypt-secrets"))
    elif not found.unreadable:
        count = counted(found.total, "secret")
        yield ok(f"{count} can be decrypted." if found.total else "There is no secret to encrypt.")
