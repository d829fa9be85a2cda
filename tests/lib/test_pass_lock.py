"""The lock of the data folder: for this user alone, and never a reason not to work."""

import logging
import os
import stat
from pathlib import Path

import pytest

from guestbook.lib import locks
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import given_away
from tests.support.receiver import Receiver


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_nobody_else_can_open_it(tmp_path: Path, before: int | None) -> None:
    path = tmp_path / locks.PASS
    if before:
        path.touch()
        path.chmod(before)
    with locks.taken(path) as held:
        assert held
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with locks.taken(path) as second:
            assert not second


def test_where_it_cannot_be_opened_a_line_says_so_and_the_work_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / locks.PASS
    path.mkdir()
    with caplog.at_level(logging.WARNING), locks.taken(path) as held:
        assert held
    assert caplog.messages == [f"Without a lock: {path} cannot be opened (Is a directory)."]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.usefixtures("app")
def test_a_lock_of_roots_stops_no_pass_of_another_user_and_is_told_of_once(
    environ: dict[str, str], book: Book, receiver: Receiver, forks: Forks, tmp_path: Path
) -> None:
    book.stock(book.webhook(receiver.url("/hook")), 3)
    environ = {**environ, **given_away(tmp_path)}
    lock = tmp_path / locks.PASS
    lock.touch(mode=0o600)
    os.chown(lock, 0, 0)
    said = []
    for _ in range(2):
        done = forks.start(environ, "cron", point="by_another_user")
        assert done.wait() == 0, done.printed
        said.append(done.printed)
    sentence = "belonged to another user and was made again. Run commands as one user."
    assert said == [f"guestbook: {lock} {sentence}\n", ""]
    assert book.statuses() == {"processed": 3}
