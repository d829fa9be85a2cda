"""The README's and the tutorial's commands work, in this order, in a fresh clone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support import processes
from tests.support.documents import README, blocks, first_column, read, section
from tests.support.processes import Started

PLACEHOLDER = re.compile(r"http://127\.0\.0\.1:5000/(bin|hooks)/…")


class Terminal:
    """A newcomer's terminal in the clone, which fills in what the last answers said."""

    def __init__(self, clone: Path, environ: dict[str, str]) -> None:
        self.clone, self.environ = clone, environ
        self.said: dict[str, str] = {}

    def type(self, block: str) -> str:
        """Run a block as it stands, with the port and the ids of this book, and return what it printed."""
        port = self.environ["PORT"]
        filled = PLACEHOLDER.sub(lambda found: self.said[found[1]], block).replace(":5000", f":{port}")
        filled = filled.replace("01…", self.said.get("id", ""))
        done = subprocess.run(
            ["sh", "-c", filled], cwd=self.clone, env=self.environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        for url, kind in re.findall(rf"(http://127\.0\.0\.1:{port}/(bin|hooks)/\S+)", done.stdout):
            self.said[kind] = url
        return done.stdout

    def see(self, block: str, *words: str) -> str:
        """Run it until it says all of the words."""
        said = ""

        def has_all() -> bool:
            nonlocal said
            said = self.type(block)
            return all(word in said for word in words)

        processes.wait_for(has_all, or_show=lambda: said)
        return said

    def wait_for_row(self, query: str) -> None:
        processes.wait_for_row(self.clone / "instance", query)


@pytest.mark.needs("packages")
@pytest.mark.needs("sqlite3")
@pytest.mark.timeout(600)
def test_the_first_commands_work_in_a_fresh_clone(tmp_path: Path) -> None:
    """As a newcomer: several terminals, one after the other, with nothing installed before."""
    clone = processes.copy_of_the_checkout(tmp_path / "guestbook")
    first, second, third, queue, *_ = blocks(README.read_text(), "sh")
    web, hook = str(processes.free_port()), str(processes.free_port())
    environ = processes.clean_environ(PORT=web)
    with (
        processes.started(["sh", "-c", f"exec {first}"], cwd=clone, env=environ) as run,
        processes.started(["sh", "-c", second.replace("9000", hook)], cwd=clone, env=environ) as receiver,
    ):
        address = f"http://127.0.0.1:{web}"
        processes.wait_for(lambda: processes.answers(address), 400, run.output)
        terminal = Terminal(clone, environ)
        added = terminal.type(third.replace("9000", hook))
        assert processes.sign(address, message="From a fresh clone") == 303
        processes.wait_for(lambda: "}}\n" in receiver.output(), 20, run.output)
        check_what_arrived(receiver.output(), re.findall(r"whsec_\S+", added)[0])
        terminal.see(queue, "|processed|", "From a fresh clone")
        send_a_webhook(terminal, address)
        watch_a_retry(terminal)
        stop(run)
    assert shutil.which("flask", path=str(clone / ".venv/bin"))


def check_what_arrived(printed: str, secret: str) -> None:
    lines = printed.splitlines()
    body = next(line.strip() for line in lines if line.strip().startswith("{"))
    pairs = (line.partition(": ") for line in lines if ": " in line)
    headers = {name.lower(): value for name, _, value in pairs}
    arrived = Webhook(secret).verify(body.encode(), headers)
    assert arrived["data"]["comment"]["message"] == "From a fresh clone"
    listed = first_column(section(read("reference/webhooks"), "Headers"))
    assert {name.lower() for name in listed} <= set(headers)


def stop(run: Started) -> None:
    run.signal_all(2)  # Ctrl-C
    processes.wait_for(lambda: not run.members(), 10, run.output)
    assert run.process.wait(5) == 0


def send_a_webhook(terminal: Terminal, address: str) -> None:
    _, bin_, webhook, show, queue = blocks(read("tutorial/1-send-a-webhook"), "sh")
    terminal.type(bin_)
    terminal.type(webhook)
    assert processes.sign(address, message="The first lesson") == 303
    terminal.wait_for_row("SELECT 1 FROM bin_requests")
    terminal.see(show, "POST", '"comment.created"')
    terminal.see(queue, "|processed|", "The first lesson")


def watch_a_retry(terminal: Terminal) -> None:
    bin_, webhook, ping, listed, show, redeliver = blocks(read("tutorial/2-watch-a-retry"), "sh")
    terminal.type(bin_)
    terminal.type(webhook)
    terminal.type(ping)
    answer = terminal.see(listed, " ping ")  # on a busy machine the retry may be over before the first look
    terminal.said["id"] = answer.splitlines()[1].split()[0]
    terminal.wait_for_row("SELECT 1 FROM deliveries WHERE event = 'ping' AND status = 'processed'")
    terminal.see(listed, " processed ")
    terminal.see(show, " 500 ", " 200 ")
    terminal.type(redeliver)
    terminal.wait_for_row("SELECT 1 FROM deliveries WHERE event = 'ping' AND attempts = 3")
    assert terminal.type(show).count("POST") == 3
