"""Several processes count the views of the book right, in batches; a kill costs one batch at most."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage import database, hits_and_notes, plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import BookState
from tests.conftest import running, settings_for


def saved() -> int:
    with db.engine.connect() as connection:
        return hits_and_notes.saved_hits(plain_sql.through(connection))


def test_batches_add_up(each_app: Flask) -> None:
    with each_app.app_context():
        assert saved() == 0
        for number in (20, 25, 20):
            with database.write(db.engine) as connection:
                hits_and_notes.add_hits(connection, number)
        assert saved() == 65


@pytest.mark.usefixtures("app")
def test_a_number_that_was_garbled_by_hand_is_none() -> None:
    for value in ("many", "", "-5", "١٢٣", "9" * 60):
        with writing() as session:
            session.merge(BookState(name=hits_and_notes.HITS_NAME, value=value))
        assert saved() == 0


def test_without_sqlalchemy_it_is_the_same_number(tmp_path: Path) -> None:
    path = tmp_path / "guestbook.db"
    with running(settings_for(tmp_path, f"sqlite:///{path}")) as app, app.app_context():
        hits_and_notes.add_hits_to_file(path, 20)
        with database.write(db.engine) as connection:
            hits_and_notes.add_hits(connection, 20)
        hits_and_notes.add_hits_to_file(path, 23)
        assert saved() == 63
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(hits_and_notes.HITS_QUERY).fetchone() == ("63",)


def test_a_batch_is_taken_once_and_only_when_it_is_full(tmp_path: Path) -> None:
    assert hits_and_notes.pending_hits(tmp_path) == hits_and_notes.take_hits(tmp_path) == 0
    for number in range(1, hits_and_notes.HITS_BATCH):
        assert hits_and_notes.note_hits(tmp_path) == hits_and_notes.pending_hits(tmp_path) == number
    assert hits_and_notes.take_hits(tmp_path) == 0
    assert hits_and_notes.note_hits(tmp_path) == hits_and_notes.HITS_BATCH
    assert hits_and_notes.take_hits(tmp_path) == hits_and_notes.HITS_BATCH
    assert hits_and_notes.take_hits(tmp_path) == hits_and_notes.pending_hits(tmp_path) == 0


def test_what_the_database_did_not_take_goes_with_the_next_batch(tmp_path: Path) -> None:
    hits_and_notes.note_hits(tmp_path, 30)
    hits_and_notes.note_hits(tmp_path)
    assert hits_and_notes.take_hits(tmp_path) == 31


def count_in_a_process(data_dir: Path, views: int, *, stops: bool = False) -> int:
    """Let another process count so many views and write down its batches; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        for _ in range(views):
            if hits_and_notes.note_hits(data_dir) >= hits_and_notes.HITS_BATCH and (
                number := hits_and_notes.take_hits(data_dir)
            ):
                if stops:
                    os.kill(os.getpid(), signal.SIGKILL)
                with (data_dir / "taken").open("a") as file:
                    file.write(f"{number}\n")
    finally:
        os._exit(0)


def taken(data_dir: Path) -> list[int]:
    return [int(line) for line in (data_dir / "taken").read_text().split()]


def test_several_processes_lose_no_view(tmp_path: Path) -> None:
    children = [count_in_a_process(tmp_path, 300) for _ in range(4)]
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert sum(taken(tmp_path)) + hits_and_notes.pending_hits(tmp_path) == 1200
    assert len(taken(tmp_path)) <= 1200 / hits_and_notes.HITS_BATCH


def test_a_kill_loses_one_batch_at_most(tmp_path: Path) -> None:
    killed = count_in_a_process(tmp_path, 300, stops=True)
    assert os.waitpid(killed, 0)[1] == signal.SIGKILL
    other = count_in_a_process(tmp_path, 300)
    assert os.waitpid(other, 0)[1] == 0
    assert sum(taken(tmp_path)) + hits_and_notes.pending_hits(tmp_path) == 300  # the killed one had one batch


@pytest.mark.parametrize("fault", ["folder", "link"])
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, fault: str) -> None:
    if fault == "folder":
        (tmp_path / hits_and_notes.PENDING_FILE).mkdir()
    else:
        (tmp_path / "other").write_text("")
        (tmp_path / hits_and_notes.PENDING_FILE).symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="hits"):
        hits_and_notes.note_hits(tmp_path)
