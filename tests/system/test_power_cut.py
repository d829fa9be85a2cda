"""The power is cut at moments of all that a book does; the disk that this assumes is as bad as it says."""

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from proof import disk
from proof.disk import SECTOR, Choice, Disk, DiskCall, DiskFile
from tests.support.processes import ROOT, clean_environ

IMAGES = 200
OLD, NEW = b"o" * 2 * SECTOR, b"n" * 2 * SECTOR


@pytest.mark.needs("gcc")
def test_nothing_is_lost_and_each_twin_is_caught() -> None:
    command = [sys.executable, "-m", "proof.power_cut", "--images", str(IMAGES), "--seed", "1"]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    scenarios = re.findall(
        r"^(.+): \d+ images \(\d+ different\) at \d+ cuts, 0 lost$", done.stdout, re.MULTILINE
    )
    twins = re.findall(r"^twin (.+): caught", done.stdout, re.MULTILINE)
    assert (len(scenarios), len(twins)) == (10, 3), done.stdout


def call(kind: str, name: str = "", *, other: str = "", number: int = 0, data: bytes = b"") -> DiskCall:
    return DiskCall(kind, 7, number, name, other, data)


def after(*calls: DiskCall) -> set[tuple[tuple[str, bytes | None], ...]]:
    """Return all that was left of a file `a` in a thousand cuts."""
    now = Disk({7: DiskFile(bytearray(OLD))})
    now.safe["a"] = now.now["a"] = now.files[7]
    for one in calls:
        now.apply(one)
    return {tuple(now.left(choice).items()) for choice in islice(disk.choices(Random(1)), 1000)}


def test_a_write_is_kept_dropped_or_torn_until_the_file_is_synced() -> None:
    torn = {OLD, NEW, OLD[:SECTOR] + NEW[SECTOR:], NEW[:SECTOR] + OLD[SECTOR:]}
    assert after(call("W", data=NEW)) == {(("a", one),) for one in torn}
    assert after(call("W", data=NEW), call("S", ".")) == {(("a", one),) for one in torn}
    assert after(call("W", data=NEW), call("S", "a")) == {(("a", NEW),)}
    assert after(call("T"), call("W", number=SECTOR, data=b"x")) == {
        *((("a", one),) for one in (OLD, b"", bytes(SECTOR) + b"x", OLD[:SECTOR] + b"x" + OLD[SECTOR + 1 :]))
    }


def test_a_name_is_the_old_or_the_new_one_until_the_folder_is_synced() -> None:
    old, new = (("a", OLD),), (("b", OLD),)
    assert after(call("R", "a", other="b")) == {old, new}
    assert after(call("R", "a", other="b"), call("S", "b")) == {old, new}
    assert after(call("R", "a", other="b"), call("S", ".")) == {new}
    assert after(call("U", "a")) == {old, ()}


def test_what_lies_in_a_folder_without_a_name_is_gone() -> None:
    made = call("M", "in"), call("L", "a", other="in/b"), call("S", "in")
    assert after(*made) == {(("a", OLD),), (("a", OLD), ("in", None), ("in/b", OLD))}


def test_a_call_that_the_disk_does_not_know_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not know X of mmap a"):
        after(call("X", "mmap", other="a"))
    choice = Choice(Random(1), data=0, names=0)
    assert Disk.of(tmp_path, {}).left(choice) == {}
