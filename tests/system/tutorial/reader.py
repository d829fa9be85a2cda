"""A reader of the tutorial, who types and saves each block of a page and compares what is shown."""

import platform
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from tests.support import processes
from tests.support.processes import ROOT, Started
from tests.system.tutorial.page import SHOWN, Block

LIMIT = 30  # seconds for a command, and for what must come to pass
RUN = '#!/bin/sh\nexec .venv/bin/guestbook run "$@"\n'  # scripts/run, for a checkout that is installed
PORTS = re.compile(r"(?<!\d)(?:5000|900\d|8000)(?!\d)")
DUE = "select 1 from {} where claimed_by is not null or due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
BUSY = " union all ".join(map(DUE.format, ("deliveries", "inbound_events")))
QUIET = "ignore:You're running the worker with superuser"  # Celery warns of it; readers are not root.
ESCAPES = re.compile(r"\x1b\[\d*m")  # colours
OPEN = re.compile(r"[^\s'\"]*…")  # what the reader fills in


class Reader:
    """A folder that looks like the checkout, with ports of its own in place of those that the page names."""

    def __init__(
        self, folder: Path, stack: ExitStack, book: "Reader | None" = None, **ports: int | str
    ) -> None:
        self.folder, self._stack = folder, stack
        self._ports = {name: str(number) for name, number in ports.items()}
        if book:
            self._ports["5000"] = book._port("5000")
            (folder / "instance").symlink_to(book.folder / "instance")
        self._said: list[str] = []
        self._running: list[Started] = []
        self._seen: dict[Started, int] = {}  # up to where the output of each was compared
        self.ran = 0
        self.printed: list[str] = []  # by each block
        # What happens here in place of a command that only the machine's administrator may type.
        self.instead: dict[str, Callable[[], None]] = {}
        (folder / "scripts").mkdir()
        (folder / "scripts/run").write_text(RUN)
        (folder / "scripts/run").chmod(0o755)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / ".curlrc").write_text("silent\nshow-error\n")  # in a terminal there is no progress meter
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        folders = {
            "CURL_HOME": folder,
            "TMPDIR": self.temporary,
            "GUESTBOOK_DATA_DIR": (folder / "instance").resolve(),
        }
        more = {name: str(path) for name, path in folders.items()}
        self._environ = processes.clean_environ(
            PYTHONUNBUFFERED="1", PYTHONWARNINGS=QUIET, PORT=self._port("5000"), **more
        )

    def do(self, page: list[Block]) -> None:
        """Type, save and compare all blocks of a page."""
        for place, block in enumerate(page):
            before = page[place - 1] if place else None
            after = page[place + 1] if place + 1 < len(page) else None
            is_shown = after and after.language in SHOWN and not after.is_in_a_terminal
            shown = after.code if after and is_shown else None
            printed = ""
            if block.file:
                (self.folder / block.file).write_text(self._here(block.code))
                rest = page[place + 1 :]
                assert any(one.names(block.file) for one in rest), f"Nothing uses {block.file}."
            elif block.stays:
                printed = self.start(block.code, shown)
            elif block.code in self.instead:
                self.instead[block.code]()
            elif block.is_command:
                printed = self.type(block, shown)
            elif block.is_in_a_terminal:
                printed = self.see(block.code)
            else:
                is_output = block.language in SHOWN and before and before.is_command
                assert is_output, f"No rule runs this block:\n{block.code}"
            self.printed.append(self._neutral(printed))
            self.ran += 1

    def open_the_book(self) -> None:
        """Run `scripts/run` in a terminal, for the pages of other readers too."""
        self.start("scripts/run", None)
        processes.wait_for(
            lambda: processes.answers(f"http://127.0.0.1:{self._port('5000')}"), LIMIT, self._outputs
        )

    def make_the_tables(self) -> None:
        """Have the book that earlier pages have made."""
        (self.folder / "instance").mkdir()
        with closing(sqlite3.connect(self.folder / "instance/guestbook.db")) as book:
            book.executescript((ROOT / "schema.sql").read_text())

    def start(self, code: str, shown: str | None) -> str:
        """Leave a program running, once it has printed what the page shows; return that."""
        command = ["sh", "-ec", self._filled(code)]
        running = self._stack.enter_context(processes.started(command, cwd=self.folder, env=self._environ))
        self._stack.callback(end, running)
        self._running.append(running)
        return self.see(shown) if shown else ""

    def see(self, shown: str) -> str:
        """Wait until a program that was left running shows that; return what it printed."""
        printed = ""
        wanted = re.compile(rf"(?m)^{pattern(shown)}")

        def is_there() -> bool:
            nonlocal printed
            for one in self._running:
                text = self._back(one.output())
                if found := wanted.search(text, self._seen.get(one, 0)):
                    self._seen[one] = found.end()
                    self._said.append(text)
                    printed = found[0]
                    return True
            return False

        processes.wait_for(is_there, LIMIT, lambda: f"Shown:\n{shown}\nPrinted:\n{self._outputs()}")
        return printed

    def type(self, block: Block, shown: str | None) -> str:
        """Run a block; compare its output with the one shown. Where the page says to wait, do it again."""
        said = ""
        if block.waits:
            self._wait_for_the_book()

        def agrees() -> bool:
            nonlocal said
            said = self._run(self._filled(block.code))
            return shown is None or re.fullmatch(pattern(shown), said) is not None

        processes.wait_for(
            agrees,
            LIMIT if block.waits else 0,
            lambda: f"Typed:\n{block.code}\nShown:\n{shown}\nPrinted:\n{said}\n{self._outputs()}",
        )
        self._said.append(said)
        return said

    def _neutral(self, printed: str) -> str:
        """Return an output without the names of this machine and of its folders."""
        printed = ESCAPES.sub("", printed.replace(str(self.folder), ".").replace(sys.prefix, ".venv"))
        return printed.replace(socket.gethostname(), "this-machine").replace(platform.platform(), "Linux")

    def _run(self, code: str) -> str:
        with processes.started(["sh", "-ec", code], cwd=self.folder, env=self._environ) as typed:
            processes.wait_for(
                lambda: typed.process.poll() is not None, LIMIT, lambda: f"{code}\n{typed.output()}"
            )
            said = self._back(typed.output())
        assert typed.process.returncode == 0, f"{code}\n{said}\n{self._outputs()}"
        return said

    def _wait_for_the_book(self) -> None:
        """Wait a moment for what is due: a command that is typed too early costs a second of computing."""
        if (self.folder / "instance/run.json").exists():
            with (
                suppress(AssertionError),
                closing(sqlite3.connect(self.folder / "instance/guestbook.db")) as book,
            ):
                processes.wait_for(lambda: not book.execute(BUSY).fetchall(), 2)

    def _outputs(self) -> str:
        return "\n".join(self._back(one.output()) for one in self._running)

    def _port(self, name: str) -> str:
        return self._ports.setdefault(name, str(processes.free_port()))

    def _here(self, code: str) -> str:
        """With the ports of this test."""
        named = "|".join(self._ports)
        ports = rf"{PORTS.pattern}|(?<!\d)(?:{named})(?!\d)"
        return re.sub(ports, lambda found: self._port(found[0]), code)

    def _back(self, text: str) -> str:
        """With the ports of the page, and no blanks at the end of a line."""
        for name, number in self._ports.items():
            text = re.sub(rf"(?<!\d){number}(?!\d)", name, text)
        return re.sub(r"(?m)[ \t\r]+$", "", text).rstrip("\n") + "\n"

    def _filled(self, code: str) -> str:
        """With what was printed last in place of each word that ends in …"""
        return self._here(OPEN.sub(lambda found: self._printed(found[0].removesuffix("…")), code))

    def _printed(self, beginning: str) -> str:
        assert beginning, "A word that the reader fills in needs its beginning."
        for said in reversed(self._said):
            if found := re.search(re.escape(beginning) + r"[^\s'\",<]+", said):
                return found[0]
        raise AssertionError(f"Nothing that was printed begins with {beginning}")


def end(running: Started) -> None:
    """Press Ctrl-C, as the reader does at the end of a page. A program that goes on is killed then."""
    with suppress(ProcessLookupError, AssertionError):
        running.signal_all(signal.SIGINT)
        processes.wait_for(lambda: not running.members(), 10)


def pattern(shown: str) -> str:
    """Return what an output must match: … is anything within a line, and a line of it any lines."""
    lines = (
        r"(?:.*\n)*?" if line.strip() == "…" else ".+?".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in shown.splitlines()
    )
    return "".join(lines)
