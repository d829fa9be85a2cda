"""The command `talk` as somebody runs it who has a book, settings and `.env` files of their own."""

import http.client
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.support import processes
from tests.support.processes import Started

FLASK = str(Path(sys.executable).with_name("flask"))
READY = re.compile(
    r"The talk is at (http://127\.0\.0\.1:\d+/) and needs no network\.\nCtrl-C ends it and removes (\S+)\.\n"
)


class DeliveryRow(NamedTuple):
    """What the tests ask of a delivery."""

    id: str
    status: str
    attempts: int
    claimed_by: str | None
    last_error: str | None


class TalkStarter:
    """Starts talks in an environment that has settings of the user's own book."""

    def __init__(self, folder: Path) -> None:
        self.temporary, self.data, self.working = (folder / name for name in ("temporary", "own", "working"))
        for made in (self.temporary, self.data, self.working):
            made.mkdir()
        (self.working / ".env").write_text("GUESTBOOK_TIMEOUT=1\nGUESTBOOK_RETRY_SCHEDULE=0\n")
        (self.temporary / ".flaskenv").write_text("GUESTBOOK_COLOUR=blue\n")  # no setting of ours
        (self.data / ".env").write_text("GUESTBOOK_BASE_URL=https://own.example\n")
        self.environ = processes.clean_environ(
            TMPDIR=str(self.temporary),
            GUESTBOOK_DATA_DIR=str(self.data),
            GUESTBOOK_DATABASE_URL=f"sqlite:///{self.data}/own.db",
            GUESTBOOK_SECRET_KEY="a secret key of the user's own",
            GUESTBOOK_ALLOW_NETWORKS="",
            GUESTBOOK_REQUIRE_HTTPS_WEBHOOKS="true",
        )

    @contextmanager
    def started(self, *options: str) -> Iterator["RunningTalk"]:
        """Start a talk and wait until it is ready. It may end before the block does."""
        command = [FLASK, "--app", "guestbook", "talk", *options]
        with processes.started(command, cwd=self.working, env=self.environ) as program:
            try:
                processes.wait_for(
                    lambda: READY.search(program.output()) or program.process.poll() is not None, 60
                )
                found = READY.search(program.output())
                assert found, program.output()
                yield RunningTalk(program, found[1], Path(found[2]))
            finally:  # Its processes have groups of their own: nothing stays when the test failed.
                program.process.kill()
                for number in self.processes():
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """The living processes whose settings lie in the temporary folder, with their command lines."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                settings = (folder / "environ").read_bytes()
                line = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # no process, or it has ended
            if f"GUESTBOOK_DATA_DIR={self.temporary}/".encode() in settings:
                found[int(folder.name)] = line
        return found

    def left_over(self) -> list[str]:
        """Folders and processes of a talk."""
        folders = [path.name for path in self.temporary.iterdir() if path.is_dir()]
        return folders + list(self.processes().values())

    def own_files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.data.iterdir()}


class RunningTalk:
    """A talk that is ready."""

    def __init__(self, program: Started, address: str, folder: Path) -> None:
        self.program, self.address, self.folder = program, address, folder

    def end_by(self, number: int) -> int:
        """Send it a signal, twice as impatient people do; return the exit code."""
        self.program.process.send_signal(number)
        self.program.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        processes.wait_for(lambda: self.program.process.poll() is not None, 20, self.program.output)
        return int(self.program.process.returncode)

    def press(self, button: str) -> None:
        """Press a button, and do not mind when the talk ends meanwhile."""
        with suppress(OSError, http.client.HTTPException):
            processes.fetch(f"{self.address}do", {"button": button})

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Ask the file of the book."""
        with closing(sqlite3.connect(self.folder / "guestbook.db")) as book:
            return book.execute(statement).fetchall()

    def rows(self) -> list[DeliveryRow]:
        """The deliveries in the file, the newest first."""
        columns = ", ".join(DeliveryRow._fields)
        found = self.query(f"SELECT {columns} FROM deliveries ORDER BY id DESC")
        return [DeliveryRow(*row) for row in found]  # type: ignore[arg-type]  # sqlite3 has no types
