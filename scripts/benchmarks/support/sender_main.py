"""A pass that `deliver` measures, in a process of its own: `python -m …support.sender_main THREADS`."""

import fcntl
import os
import signal
import sys
from pathlib import Path

import flask

from guestbook.background import whole_pass
from guestbook.cli import program
from guestbook.lib.current_process import paused_gc
from guestbook.storage import app_factory
from guestbook.storage.database import db


def main(threads: str) -> None:
    """Drain the book of the environment as the command `cron` does, once the bench lets go of its lock.

    Then wait to be killed, so that the usage can be read.
    """
    with paused_gc():  # an app without pages, which take a sixth of the memory
        program.load("cron")
        app = app_factory.make(flask.Flask)
    folder = Path(os.environ["BENCH_FOLDER"])
    (folder / f"ready {os.getpid()}").touch()
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    with app.app_context():
        options = whole_pass.Options(max_seconds=600, concurrency=int(threads))
        if whole_pass.run(db.engine, app.config["GUESTBOOK"], options) is None:
            sys.exit("Another pass has this data folder.")
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
