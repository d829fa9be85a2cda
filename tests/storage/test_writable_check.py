"""Whether anything can be stored: a write is tried and rolled back."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text

from guestbook.storage import database, writable_check
from guestbook.storage.database import db


@contextmanager
def full_disk(size: int = 4096) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, which to SQLite looks like a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def rows() -> int:
    with db.engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM settings")) or 0)


@pytest.mark.usefixtures("each_app")
def test_where_it_can_be_written_nothing_is_left_of_the_trial() -> None:
    before = rows()
    assert [writable_check.why_not(db.engine) for _ in range(3)] == [None] * 3
    assert rows() == before


@pytest.mark.parametrize("each_environ", ["sqlite-wal", "sqlite-journal"], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_on_a_full_disk_the_reason_is_told_and_afterwards_all_is_as_before() -> None:
    before = rows()
    with full_disk():
        assert writable_check.why_not(db.engine) == "disk I/O error"
    assert (writable_check.why_not(db.engine), rows()) == (None, before)
    with database.write(db.engine) as connection:
        assert connection.scalar(text("PRAGMA cache_size")) == writable_check.CACHE_KIB


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("each_environ", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_a_server_that_only_reads_is_noticed() -> None:
    reading = create_engine(db.engine.url, connect_args={"options": "-c default_transaction_read_only=on"})
    assert writable_check.why_not(reading) == "cannot execute INSERT in a read-only transaction"
    reading.dispose()


@pytest.mark.usefixtures("app")
def test_another_writer_is_no_fault_and_is_not_waited_for() -> None:
    other = create_engine(db.engine.url)
    with other.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert writable_check.why_not(db.engine) is None
        assert time.monotonic() - began < 10  # a pass would wait for twenty seconds
    other.dispose()
    with database.write(db.engine):
        assert writable_check.why_not(db.engine) is None
