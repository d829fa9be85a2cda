"""The power is cut at moments of all that a book does; the disk that this assumes is as bad as it says."""

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from proof import disk
from proof.disk import PROMISE, SECTOR, Choice, DiskCall, DiskFile, DiskFolder
from proof.power_scenarios import SCENARIOS, TWINS
from tests.support.processes import ROOT, clean_environ

EACH = 13  # images of a scenario, which are too few for one of the twins
OLD, NEW = b"o" * 2 * SECTOR, b"n" * 2 * SECTOR


def prove(images: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "proof", "power", "--images", str(images), "--seed", "1"]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.needs("strace")
def test_nothing_is_lost_and_each_twin_is_caught() -> None:
    done = prove(EACH * len(SCENARIOS))
    assert done.returncode == 0, done.stdout + done.stderr
    whole = re.findall(
        r"^(.+): \d+ images \(\d+ different\) at [\d,]+ cuts, 0 lost$", done.stdout, re.MULTILINE
    )
    twins = re.findall(r"^twin (.+): caught", done.stdout, re.MULTILINE)
    assert (len(whole), len(twins)) == (len(SCENARIOS) + 1, len(TWINS)), done.stdout


def test_fewer_images_than_there_are_scenarios_are_refused_before_anything_is_traced() -> None:
    done = prove(len(SCENARIOS) - 1)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{len(SCENARIOS) - 1} is not in the range x>={len(SCENARIOS)}" in done.stderr


def call(name: str, *paths: str, data: bytes = b"", words: str = "") -> DiskCall:
    return DiskCall(name, list(paths or ("a",)), data, words.split())


def after(*calls: DiskCall) -> set[tuple[tuple[str, bytes | None], ...]]:
    """Return all that was left of a file `a` in a thousand cuts."""
    now = DiskFolder()
    now.safe["a"] = now.now["a"] = DiskFile(bytearray(OLD))
    for one in calls:
        now.apply(one)
    return {tuple(now.left(choice).items()) for choice in islice(disk.choices(Random(1)), 1000)}


def test_a_write_is_kept_dropped_or_torn_until_the_file_is_synced() -> None:
    torn = {OLD, NEW, OLD[:SECTOR] + NEW[SECTOR:], NEW[:SECTOR] + OLD[SECTOR:]}
    write = call("pwrite64", data=NEW, words="1024 0")
    assert after(write) == {(("a", one),) for one in torn}
    assert after(write, call("fsync", "")) == {(("a", one),) for one in torn}
    assert after(write, call("fdatasync")) == after(write, call("syncfs", "")) == {(("a", NEW),)}
    assert after(call("openat", words="O_TRUNC"), call("pwrite64", data=b"x", words=f"1 {SECTOR}")) == {
        *((("a", one),) for one in (OLD, b"", bytes(SECTOR) + b"x", OLD[:SECTOR] + b"x" + OLD[SECTOR + 1 :]))
    }


def test_a_name_is_the_old_or_the_new_one_until_the_folder_is_synced() -> None:
    old, new = (("a", OLD),), (("b", OLD),)
    assert after(call("rename", "a", "b")) == {old, new}
    assert after(call("rename", "a", "b"), call("fsync", "b")) == {old, new}
    assert after(call("rename", "a", "b"), call("fsync", "")) == {new}
    assert after(call("unlink")) == {old, ()}


def test_what_lies_in_a_folder_without_a_name_is_gone() -> None:
    made = call("mkdir", "in"), call("link", "a", "in/b"), call("fsync", "in")
    assert after(*made) == {(("a", OLD),), (("a", OLD), ("in", None), ("in/b", OLD))}
    swapped = (*made, call("fsync", ""), call("renameat2", "in", "a", words="RENAME_EXCHANGE"))
    assert after(*swapped) == {
        (("a", OLD), ("in", None), ("in/b", OLD)),
        (("a", None), ("a/b", OLD), ("in", OLD)),
    }


@pytest.mark.needs("strace")
def test_a_trace_leads_to_what_is_on_the_disk(tmp_path: Path) -> None:
    program = """if True:
        import os, shutil, threading
        here = os.getcwd()
        disk = f"{here}/disk"
        os.write(os.open(f"{here}/promises", os.O_WRONLY | os.O_CREAT), b'{"\\0001"')
        os.mkdir(f"{disk}/in")
        inside = os.open(f"{disk}/in", os.O_RDONLY)
        os.mkdir(f"/proc/self/fd/{inside}/below")
        copy = lambda number: shutil.copy("source", f"{disk}/{number}")
        threads = [threading.Thread(target=copy, args=(number,)) for number in range(20)]
        [one.start() for one in threads], [one.join() for one in threads]
        os.rmdir("below", dir_fd=inside)
        os.rename(f"{disk}/3", f"{disk}/in/3")
        file = os.open(f"{disk}/4", os.O_RDWR)
        os.unlink(f"{disk}/4")
        os.write(file, b"gone")
    """
    where = tmp_path / disk.LIVE
    (where / "disk").mkdir(parents=True)
    (where / "source").write_bytes(bytes(range(256)) * 600)
    log = tmp_path / "log"
    traced = [*disk.STRACE, "-o", log, sys.executable, "-c", program]
    subprocess.run(traced, cwd=where, check=True, timeout=60)
    (calls,) = disk.read_trace(log, tmp_path)
    assert (calls[0].name, calls[0].data) == (PROMISE, b'{"\x001"')
    now = DiskFolder()
    for one in calls:
        now.apply(one)
    everything = Choice(Random(), data=1, names=1)
    assert now.left(everything) == DiskFolder.of(where / "disk").left(everything)
    assert now.left(Choice(Random(), data=0, names=0)) == {}
