"""The file of a backup: an SQLite database with the tables of a book, and one that says what is in them.

The number in the file's header tells a backup from other files, also from a book on SQLite.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, MetaData, Table

from guestbook.lib import clock, encryption
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Progress
from guestbook.storage import table_copy
from guestbook.storage.database import VERSION_TABLE, Base
from guestbook.storage.table_copy import Checksum, PlainTable

APPLICATION_ID = 0x47426B70  # "GBkp"; https://www.sqlite.org/fileformat.html#application_id
SQLITE_HEAD = b"SQLite format 3\0"
FILE_HEADER = 100  # bytes; four of them have the number
ID_PLACE = slice(68, 72)
LABEL_TABLE = "backup"
LABEL_FORMAT = 2  # the first one had the secret key itself
OWN_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name <> 'backup' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name
"""


class DamagedFile(Refused):
    """SQLite cannot read all of a backup; `words` say why."""

    def __init__(self, name: Path, words: str) -> None:
        super().__init__(f"{name} is a damaged backup: {words}.")
        self.words = words


@dataclass(frozen=True, slots=True)
class TableSum:
    """The number of a table's rows, and the sum of the SHA-256 of each, in hexadecimal digits."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class BackupLabel:
    """What a backup says of itself. `kind` is the database that the book was on.

    `key_id` names the secret key that encrypts its secrets.
    """

    made_at: datetime
    schema: str
    program: str
    kind: str
    key_id: str
    tables: dict[str, TableSum]


def is_backup(path: Path) -> bool:
    """Whether the file calls itself a backup of a guestbook; raises OSError."""
    head = _head(path)
    return head.startswith(SQLITE_HEAD) and head[ID_PLACE] == APPLICATION_ID.to_bytes(4, "big")


def is_database(path: Path) -> bool:
    """Whether the file is an SQLite database of whatever program; raises OSError."""
    return _head(path).startswith(SQLITE_HEAD)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_HEADER)


def add_label(copy: sqlite3.Connection, label: BackupLabel) -> None:
    """Make a backup of a copy of the tables, in the caller's transaction."""
    made_at = clock.to_text(label.made_at)
    text = json.dumps({"format": LABEL_FORMAT, **asdict(label), "made_at": made_at})
    copy.execute(f"DROP TABLE IF EXISTS {LABEL_TABLE}")  # a backup that was put in place as a book has one
    copy.execute(f"CREATE TABLE {LABEL_TABLE} (label TEXT NOT NULL, checksum TEXT NOT NULL)")
    copy.execute(f"INSERT INTO {LABEL_TABLE} VALUES (?, ?)", (text, _sha256(text)))
    copy.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def verify(path: Path, name: Path) -> BackupLabel:
    """Read a whole backup and return its label; raises Refused, with this name of the file."""
    try:
        with closing(opened(path)) as connection:
            check_integrity(connection)
            label = _label(connection)
            now = sums(connection)
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(name, str(error)) from None
    wrong = sorted(table for table in label.tables.keys() | now if label.tables.get(table) != now.get(table))
    if wrong:
        raise Refused(f"{name} was changed or damaged after it was made, in {', '.join(wrong)}.")
    return label


def opened(path: Path) -> sqlite3.Connection:
    """Open a backup that nobody writes to; the disk may be read-only."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def check_integrity(connection: sqlite3.Connection) -> None:
    """Let SQLite read all pages; raises ValueError with its words, or its own error."""
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        raise ValueError(found.splitlines()[-1])


def sums(connection: sqlite3.Connection) -> dict[str, TableSum]:
    """Read all rows of all tables but the label's."""
    names = connection.execute(OWN_TABLES).fetchall()
    return {name: table_sum(connection, name) for (name,) in names}


def table_sum(
    connection: sqlite3.Connection, table: str, columns: Sequence[str] = (), *, of: str = "main"
) -> TableSum:
    """Read all rows of a table, or of those of the database attached by that name."""
    factory, connection.text_factory = connection.text_factory, bytes  # not all text need be UTF-8
    rows = total = 0
    try:
        for row in connection.execute(f'SELECT {quoted(columns)} FROM {of}."{table}"'):
            rows += 1
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big")
    finally:
        connection.text_factory = factory
    return TableSum(rows, f"{total % 2**256:064x}")


def quoted(columns: Sequence[str]) -> str:
    """Return the columns as SQL wants them; all of them when none is named."""
    return ", ".join(f'"{name}"' for name in columns) or "*"


def _label(connection: sqlite3.Connection) -> BackupLabel:
    """Read the label; raises ValueError, KeyError or TypeError."""
    rows = connection.execute(f"SELECT label, checksum FROM {LABEL_TABLE}").fetchall()
    if len(rows) != 1 or _sha256(str(rows[0][0])) != rows[0][1]:
        raise ValueError("its label was changed")
    found = json.loads(rows[0][0])
    if found.pop("format") > LABEL_FORMAT:
        raise ValueError("a newer program made it")
    if key := found.pop("secret_key", None):
        found["key_id"] = encryption.key_id_of(key)
    found["made_at"] = clock.from_text(found["made_at"])
    found["tables"] = {name: TableSum(**one) for name, one in found["tables"].items()}
    return BackupLabel(**found)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def copy_tables(engine: Engine, copy: sqlite3.Connection, progress: Progress) -> str:
    """Copy a book of any version to an empty file, as it is at one moment; return the kind of its database.

    The file has columns and primary keys, and nothing else that guards or finds rows.
    """
    with table_copy.snapshot(engine) as book:
        tables = [_plain(table) for table in _reflected(book)]
        total = sum(table_copy.count(book, table) for table in tables)
        with progress("Backing up", 2 * total) as step:
            for table in tables:
                _create(copy, table)
                _copy(book, copy, table, step)
    return engine.dialect.name


def _reflected(book: Connection) -> list[Table]:
    """Return the book's tables as they are there; a server's database may have others beside them."""
    found = MetaData()
    known = {*Base.metadata.tables, VERSION_TABLE}
    found.reflect(book, only=lambda name, _metadata: name in known)
    return found.sorted_tables


def _plain(reflected: Table) -> PlainTable:
    """Return how to read a table: a few rows at a time where one may have megabytes."""
    model = Base.metadata.tables.get(reflected.name)
    plain = table_copy.plain(reflected)
    return plain if model is None else replace(plain, at_once=table_copy.plain(model).at_once)


def _create(copy: sqlite3.Connection, table: PlainTable) -> None:
    kinds = ["INTEGER" if place in table.integers else "TEXT" for place in range(len(table.names))]
    columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(table.names, kinds, strict=True))
    key = quoted([table.names[place] for place in table.key])
    copy.execute(f'CREATE TABLE "{table.name}" ({columns}, PRIMARY KEY ({key}))')


def _copy(book: Connection, copy: sqlite3.Connection, table: PlainTable, step: Callable[[int], None]) -> None:
    """Copy the rows, and read the copy again; raises Refused where it differs."""
    written, again = Checksum(), Checksum()
    names = quoted(table.names)
    places = ", ".join("?" * len(table.names))
    with copy:
        for rows in table_copy.chunks(book, table, written):
            copy.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({places})', rows)
            step(len(rows))
    for row in copy.execute(f'SELECT {names} FROM "{table.name}"'):
        again.add(table_copy.pack(table, row))
    step(again.rows)
    if again != written:
        raise Refused(f"The backup differs from the book in {table.name}. Nothing was changed.")
