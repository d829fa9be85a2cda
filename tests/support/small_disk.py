"""A disk of a test's own that can be full, or read-only, as no permission makes it for root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

FILLER = "filler"
SIZE = 2_000  # kB


class SmallDisk:
    """A file system in memory, mounted on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, but: int = 0) -> None:
        """Leave no room, or so many bytes."""
        with (self.folder / FILLER).open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                file.truncate(file.tell() - but)

    def free(self) -> None:
        """Make room again."""
        (self.folder / FILLER).unlink()

    def mount(self, options: str) -> None:
        """Mount it with these options, `remount,ro` or `remount,rw`."""
        _run("mount", "-o", options, str(self.folder))


@contextmanager
def small_disk(folder: Path, size: int = SIZE) -> Iterator[SmallDisk]:
    """Give a disk of so many kilobytes on that folder."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}k,mode=755", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


@cache
def can_be_mounted() -> bool:
    """Whether this user may mount here."""
    if os.geteuid() != 0:
        return False
    try:
        with TemporaryDirectory() as folder, small_disk(Path(folder)):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
