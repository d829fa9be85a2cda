"""The README's commands work, in this order, in a fresh clone."""

import re
import shutil
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.conftest import run
from tests.support import processes
from tests.support.documents import README, blocks, first_column, read, section
from tests.support.processes import Started


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
        processes.started(["sh", "-c", f"exec {first}"], cwd=clone, env=environ) as running,
        processes.started(["sh", "-c", second.replace("9000", hook)], cwd=clone, env=environ) as receiver,
    ):
        address = f"http://127.0.0.1:{web}"
        processes.wait_for(lambda: processes.answers(address), 400, running.output)
        added = type_there(clone, third.replace("9000", hook))
        assert processes.sign(address, message="From a fresh clone") == 303
        processes.wait_for(lambda: "}}\n" in receiver.output(), 20, running.output)
        check_what_arrived(receiver.output(), re.findall(r"whsec_\S+", added)[0])
        queued = re.compile(r"\|processed\|.*From a fresh clone")
        processes.wait_for(lambda: queued.search(type_there(clone, queue)), or_show=running.output)
        stop(running)
    assert shutil.which("flask", path=str(clone / ".venv/bin"))


def type_there(clone: Path, block: str) -> str:
    """Run a block as it stands, and return what it printed."""
    done = run("sh", "-c", block, cwd=clone, env=processes.clean_environ())
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_what_arrived(printed: str, secret: str) -> None:
    lines = printed.splitlines()
    body = next(line.strip() for line in lines if line.strip().startswith("{"))
    pairs = (line.partition(": ") for line in lines if ": " in line)
    headers = {name.lower(): value for name, _, value in pairs}
    arrived = Webhook(secret).verify(body.encode(), headers)
    assert arrived["data"]["comment"]["message"] == "From a fresh clone"
    listed = first_column(section(read("reference/webhooks"), "Headers"))
    assert {name.lower() for name in listed} <= set(headers)


def stop(running: Started) -> None:
    running.signal_all(2)  # Ctrl-C
    processes.wait_for(lambda: not running.members(), 10, running.output)
    assert running.process.wait(5) == 0
