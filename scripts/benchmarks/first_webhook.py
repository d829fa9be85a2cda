"""The way of a newcomer who has only Python: from installing the wheel to the first webhook in a bin."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import requests

from scripts.benchmarks.support import fresh_install, processes, report, visitor, waiting

GOAL = 60.0  # seconds, after the download of the packages
ROOT = Path(__file__).parents[2]


@dataclass
class Stopwatch:
    """How long each step took."""

    began: float = field(default_factory=time.monotonic)
    seconds: list[tuple[str, float]] = field(default_factory=list)

    def note(self, step: str) -> None:
        """End a step, and begin the next one."""
        now = time.monotonic()
        self.seconds.append((step, now - self.began))
        self.began = now


@dataclass(frozen=True)
class Newcomer:
    """Types commands in an empty folder, without any setting."""

    program: Path
    environ: dict[str, str]
    folder: Path

    def type(self, *words: str) -> Any:
        """Run a command and return its JSON."""
        command = [str(self.program), *words, "--json"]
        done = subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)


@click.command("first-webhook")
@click.option("--share-packages", is_flag=True, help="Use the packages of this Python instead of an index.")
def first_webhook(share_packages: bool) -> None:
    """Install the wheel, run the guestbook, sign it, and see the webhook in a bin."""
    report.heading()
    with tempfile.TemporaryDirectory(prefix="guestbook-bench-") as folder:
        watch = _watched(Path(folder), share_packages)
    report.table(["step", "seconds"], watch.seconds)
    total = sum(seconds for _, seconds in watch.seconds)
    verdict = "" if total <= GOAL else "ABOVE"
    report.table(["all", "seconds", f"goal {GOAL:g} s"], [["to the first webhook", total, verdict]])


def _watched(folder: Path, share_packages: bool) -> Stopwatch:
    source, home, empty = folder / "source", folder / "home", folder / "empty"
    for one in (home, empty):
        one.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    wheel = fresh_install.build_wheel(source, folder)
    watch = Stopwatch()
    program = fresh_install.install(wheel, folder / "venv", share_packages=share_packages)
    watch.note("make a virtual environment, install the wheel")
    newcomer = Newcomer(program, fresh_install.bare_environ(home), empty)
    _go(newcomer, watch)
    return watch


def _go(newcomer: Newcomer, watch: Stopwatch) -> None:
    port = processes.free_port()
    address = f"http://127.0.0.1:{port}"
    command: Sequence[str] = ["env", "-i", *(f"{name}={value}" for name, value in newcomer.environ.items())]
    command = [*command, str(newcomer.program), "run", "--port", str(port)]
    with processes.running(command, {}):
        waiting.until(_answered(address), "The site")
        watch.note("guestbook run, until the site answers")
        bin_ = newcomer.type("bins", "add")
        watch.note("guestbook bins add")
        newcomer.type("webhooks", "add", bin_["url"])
        watch.note("guestbook webhooks add")
        token = visitor.hidden_field(requests.get(f"{address}/").text, "token")
        form = {"token": token, "name": "Ada", "website": "", "message": "Hello", "subject": ""}
        requests.post(f"{address}/comments", form, allow_redirects=False).raise_for_status()
        waiting.until(lambda: bool(newcomer.type("bins", "show", bin_["id"])["requests"]), "The webhook")
        watch.note("sign, until guestbook bins show has the webhook")


def _answered(address: str) -> Callable[[], bool]:
    def is_answered() -> bool:
        try:
            return requests.get(f"{address}/", timeout=5).ok
        except requests.ConnectionError:
            return False

    return is_answered
