"""A file or a folder is replaced in one step, and never one that holds something else."""

import os
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from guestbook.lib import files
from guestbook.lib.errors import Refused
from tests.support.small_disk import FILLER, can_be_mounted, small_disk


def test_a_reader_that_has_the_old_file_open_keeps_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old " * 1000)
    with path.open() as reader:
        assert reader.read(4) == "old "
        files.replace_file(path, "new")
        assert reader.read() == "old " * 999
    assert path.read_text() == "new"
    assert left(tmp_path) == ["file"]


def test_a_secret_is_its_owners_alone_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o644)
    files.replace_file(path, "new", is_secret=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace_file(tmp_path / "folder", "text")
    assert left(tmp_path) == ["folder"]


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
        assert left(disk.folder) == sorted(("file", FILLER))


MARK = ".ours"


def write(folder: Path, text: str) -> None:
    with files.replacing_folder(folder, MARK) as part:
        for name in ("a", "b"):
            (part / name).write_text(text)


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.fixture(params=["exchanged", "renamed"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "renamed":
        monkeypatch.setattr(files.ctypes, "CDLL", lambda _, **_options: object())


@pytest.mark.usefixtures("both_ways")
def test_it_is_made_and_then_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "sites" / "book"
    write(folder, "old")
    (folder / "more").mkdir()
    write(folder, "new")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {MARK: "", "a": "new", "b": "new"}
    assert left(folder.parent) == ["book"]


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    folder, seen, over = tmp_path / "book", set(), threading.Event()
    write(folder, "0")

    def read() -> None:
        while not over.is_set():
            there = os.open(folder, os.O_RDONLY)  # as a server that has the folder open
            with suppress(FileNotFoundError):  # it goes away once it is replaced
                seen.add((contents(there, "a"), contents(there, "b")))
            os.close(there)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(50):
            write(folder, str(number))
    finally:
        over.set()
        reader.join()
    assert seen
    assert all(one == other for one, other in seen)


def contents(folder: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY, dir_fd=folder)
    found = os.read(file, 9)
    os.close(file)
    return found


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(Refused, match="has other files, which would be lost"):
        write(tmp_path, "new")
    with pytest.raises(Refused, match="is not a folder"):
        write(tmp_path / "precious", "new")
    assert left(tmp_path) == ["precious"]


def test_an_empty_folder_may_be_filled_and_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Refused, match="link is a link"):
        write(tmp_path / "link", "new")
    assert left(tmp_path / "real") == []
    write(tmp_path / "real", "new")
    assert left(tmp_path / "real") == [MARK, "a", "b"]


@pytest.mark.usefixtures("both_ways")
def test_no_link_beside_it_is_followed_and_no_other_folder_is_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("x")
    (precious / MARK).touch()
    names = (".book.part", ".book.old", ".book.0123.part")
    for name in names:
        (tmp_path / name).symlink_to(precious)
    (tmp_path / ".book.others.part").mkdir()
    (tmp_path / ".book.others.part" / "mine").touch()
    for _ in range(2):
        write(tmp_path / "book", "new")
    assert (precious / "a").read_text() == "x"
    assert left(tmp_path) == sorted([*names, ".book.others.part", "book", "precious"])


def test_whoever_puts_a_link_in_place_of_the_new_folder_gets_no_file(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with ExitStack() as stack:
        part = stack.enter_context(files.replacing_folder(tmp_path / "book", MARK))
        [there] = tmp_path.glob(".book.*")
        there.rename(tmp_path / "stolen")
        there.symlink_to("precious")
        (part / "a").write_text("x")
        with pytest.raises(Refused, match="replaced meanwhile"):
            stack.close()
    assert left(tmp_path / "precious") == []
    assert not (tmp_path / "book").exists()


def test_a_failure_keeps_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "book"
    write(folder, "old")
    with pytest.raises(FileNotFoundError), files.replacing_folder(folder, MARK) as part:
        (part / "no" / "such").touch()
    assert (folder / "a").read_text() == "old"
    assert left(tmp_path) == ["book"]


def test_what_a_killed_run_left_goes_and_two_runs_do_not_mix(tmp_path: Path) -> None:
    folder, part = tmp_path / "book", tmp_path / ".book.0123.part"
    part.mkdir()
    (part / MARK).touch()
    with files.replacing_folder(folder, MARK) as slow:
        (slow / "c").touch()
        write(folder, "new")
        assert not part.exists()
        assert slow.exists()
    assert left(folder) == [MARK, "c"]
    assert left(tmp_path) == ["book"]


AS_NOBODY = """
import os, sys
from pathlib import Path
from guestbook.lib import files
if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)
with files.replacing_folder(Path(sys.argv[1]), ".ours"): pass
"""


def test_one_that_is_open_in_a_folder_that_is_not_says_which_is_not() -> None:
    with TemporaryDirectory() as parent:
        site = Path(parent) / "site"
        site.mkdir()
        site.chmod(0o777)
        Path(parent).chmod(0o555)
        command = [sys.executable, "-c", AS_NOBODY, str(site)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        Path(parent).chmod(0o755)
    why = f"{site} cannot be replaced: this user may not make a new folder in {parent}."
    assert done.stderr.endswith(f"Refused: {why}\n")
