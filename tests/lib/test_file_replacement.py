"""A file is replaced in one step, and a fault leaves nothing behind."""

import stat
from pathlib import Path

import pytest

from guestbook.lib import files
from tests.support.small_disk import FILLER, can_be_mounted, small_disk


def test_a_reader_that_has_the_old_file_open_keeps_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old " * 1000)
    with path.open() as reader:
        assert reader.read(4) == "old "
        files.replace_file(path, "new")
        assert reader.read() == "old " * 999
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_its_owners_alone_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    files.replace_file(path, "new", is_secret=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace_file(path, "text")
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_the_old_file_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    if not can_be_mounted():
        pytest.skip("needs root, to mount a small disk")
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "file"
        path.write_text("old")
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            files.replace_file(path, "new " * 10_000)
        assert path.read_text() == "old"
        assert {one.name for one in disk.folder.iterdir()} == {"file", FILLER}
