"""Files of tests in memory: a book waits for its disk with every commit, a test only for the commit."""

import gc
import os
import tempfile

MEMORY = "/dev/shm"
COLLECT_SELDOM = (50_000, 20, 100)  # a twentieth of the tests' time would go into looking for garbage
ROOM = 2 * 1024**3  # bytes, more than all tests need at a time


def pause_garbage_collection() -> None:
    """Collect nothing while tests are collected: what that makes stays to the end."""
    gc.disable()


def keep_files_in_memory() -> None:
    """Make temporary folders in memory where there is room and programs may run, unless TMPDIR says where."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    room = os.statvfs(MEMORY)
    if room.f_bavail * room.f_frsize > ROOM and not room.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = MEMORY
        tempfile.tempdir = None  # it was found before


def pytest_collection_finish() -> None:
    """Let no garbage collection look again at thousands of tests and modules, which stay to the end."""
    gc.freeze()
    gc.set_threshold(*COLLECT_SELDOM)
    gc.enable()
