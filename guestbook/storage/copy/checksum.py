"""The checksum of a table, which tells whether both databases have the same rows."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from guestbook.lib.errors import Refused
from guestbook.storage.copy.table_reader import AT_ONCE, PlainTable, Row, stream

CHUNK_BYTES = 4_000_000  # bytes, after which a chunk ends before it has so many rows
INTEGERS = (int, type(None))


@dataclass(slots=True)
class Checksum:
    """Counts rows and adds up the SHA-256 of each, so that the order in which they come does not matter."""

    rows: int = 0
    total: int = 0

    def add(self, packed: bytes) -> None:
        """Count a row that `pack` has packed."""
        self.rows += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(packed).digest(), "big")) % 2**256

    def __str__(self) -> str:
        return f"{self.total:064x}"


def chunks(connection: Connection, table: PlainTable, checksum: Checksum) -> Iterator[list[Row]]:
    """Read all rows in portions that fit into little memory, and add them to the checksum."""
    rows: list[Row] = []
    size = 0
    for row in stream(connection, table):
        packed = pack(table, row)
        checksum.add(packed)
        rows.append(row)
        size += len(packed)
        if len(rows) == AT_ONCE or size >= CHUNK_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def pack(table: PlainTable, row: Row) -> bytes:
    """Return the bytes that only this row has; raises Refused for what not every database can keep."""
    try:
        if all(isinstance(row[place], INTEGERS) for place in table.integers):
            return json.dumps(row, ensure_ascii=False).encode()
    except (TypeError, UnicodeEncodeError):  # bytes, or no UTF-8
        pass
    raise refusal(table, row, "has a wrong value: text must be UTF-8, and numbers must be whole")


def refusal(table: PlainTable, row: Row, why: str) -> Refused:
    """Return the error for a row that cannot be copied; `why` completes `The row 1 of comments`."""
    name = f"{' '.join(map(str, table.key_of(row)))} of {table.name}"
    return Refused(f"The row {name} {why}. Fix or remove that row in the book, and run this again.")
