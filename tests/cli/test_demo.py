"""The tour from the shell, as somebody sees it who has just come."""

import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import html5lib
import pytest

from tests.cli.conftest import FLASK
from tests.conftest import running
from tests.support import processes, visitor
from tests.support.processes import Started

LAST = "Ctrl-C ends the demo"
HELD_BACK = "So we wait"  # the middle of the second step
ID = r"webhook-id ([0-9a-f]{32})"


class Visit:
    """Somebody with a book, settings and `.env` files of their own."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.data = folder / "own data"
        self.working = folder / "working"
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
    def started(self, *options: str) -> Iterator[Started]:
        command = [FLASK, "--app", "guestbook", "demo", *options]
        with processes.started(command, cwd=self.working, env=self.environ) as demo:
            try:
                yield demo
            finally:  # The demo's processes have groups of their own: nothing stays when the test failed.
                for number in self.processes() if demo.process.poll() is None else ():
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)

    def shell(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", line], cwd=self.working, env=self.environ, capture_output=True, text=True, timeout=90
        )

    def own_files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.data.iterdir() if path.name != "pass.lock"}

    def left_over(self) -> list[str]:
        """Folders and processes of a demo."""
        folders = [path.name for path in self.temporary.iterdir() if path.is_dir()]
        return folders + [line for line in self.processes().values() if "guestbook" in line]

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


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    return Visit(tmp_path)


def ended(demo: Started) -> int:
    processes.wait_for(lambda: demo.process.poll() is not None, 15, demo.output)
    return int(demo.process.returncode)


def until(demo: Started, words: str) -> str:
    processes.wait_for(lambda: words in demo.output() or demo.process.poll() is not None, 60)
    assert words in demo.output(), demo.output()
    return demo.output()


def behind_the_login(admin: str, password: str, url: str) -> str:
    """Log in to the admin pages and return a page of it."""
    browser = processes.browser(urllib.request.HTTPCookieProcessor())
    page = html5lib.parse(processes.fetch(f"{admin}login", opener=browser)[1], namespaceHTMLElements=False)
    form = visitor.fields(page) | {"password": password}
    assert processes.fetch(f"{admin}login", form, browser)[0] == 303
    status, text = processes.fetch(url, opener=browser)
    assert status == 200
    return text


def test_the_tour_shows_three_steps_then_everything_it_names_can_be_looked_at_at_the_port_that_was_asked_for(
    visit: Visit,
) -> None:
    """With --no-wait it ends by itself: see tests/system/test_installed.py."""
    with running({name: visit.environ[name] for name in visit.environ if name.startswith("GUESTBOOK_")}):
        own = visit.own_files()
    port = processes.free_port()
    with visit.started("--port", str(port)) as demo:
        said = until(demo, LAST)
        check_the_steps(said.partition("Now look around")[0])
        assert f"is ready: http://127.0.0.1:{port}/" in said
        check_what_it_names(said)
        demo.signal_all(signal.SIGINT)
        assert ended(demo) == 0
        assert demo.output().endswith("The demo is over. Everything of it is removed.\n")
    assert visit.left_over() == []
    assert visit.own_files() == own


def check_the_steps(said: str) -> None:
    """A delivery, a retry and a signature."""
    one, two, three = re.split(r"(?m)^\d\. .+\n", said)[1:]
    assert "webhook-signature: v1," in one.lower()
    assert '"message": "Hello from the demo!"' in one
    answers = re.findall(rf"attempt (\d)  answered (\d+)  {ID}", two)
    assert [answer[:2] for answer in answers] == [("1", "500"), ("2", "200")]
    assert answers[0][2] == answers[1][2]
    first, came, second, same = re.findall(r"(?:computed|arrived) +(v1,\S{44})\n", three)
    assert first == came == same != second
    assert re.findall("equal|different", three) == ["equal", "different"]
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 80


def check_what_it_names(said: str) -> None:
    """The book, and the bin behind the login."""
    named = dict(re.findall(r"(?m)^(The book|Admin|Password|The bin) +(\S+)$", said))
    page = processes.fetch(named["The book"])[1]
    assert all(name in page for name in ("Ada", "Alan"))
    captured = behind_the_login(named["Admin"], named["Password"], named["The bin"])
    assert captured.count("comment.created") >= 1


def test_a_signal_in_the_midst_ends_it_and_leaves_nothing_behind(visit: Visit) -> None:
    """One signal will do here: tests/system/test_demo.py shows that all three are caught alike."""
    with visit.started() as demo:
        until(demo, HELD_BACK)
        own = visit.processes()
        assert len(own) == 2, "the server, and a pass beside it"
        assert os.getpid() not in {os.getsid(one) for one in own}, "Ctrl-C does not reach them past the demo"
        assert {os.getsid(one) for one in own} <= set(own)
        demo.process.send_signal(signal.SIGTERM)
        demo.process.send_signal(signal.SIGTERM)
        assert ended(demo) == 1
        assert demo.output().endswith("\nAborted!\n")
    assert visit.left_over() == []


def test_a_process_that_dies_ends_it_with_a_sentence(visit: Visit) -> None:
    with visit.started() as demo:
        until(demo, HELD_BACK)
        (number,) = [number for number, line in visit.processes().items() if " run " in line]
        os.kill(number, signal.SIGKILL)
        assert ended(demo) == 1
        assert "\nError: The demo's server has ended by itself." in demo.output()
    assert visit.left_over() == []


def test_a_reader_that_goes_away_ends_it(visit: Visit) -> None:
    done = visit.shell(f"'{FLASK}' --app guestbook demo | head -n 1")
    assert (done.stdout, "Traceback" in done.stderr) == ("A tour of the guestbook\n", False)
    assert visit.left_over() == []


def test_a_port_that_is_in_use_gets_a_sentence(visit: Visit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = visit.shell(f"timeout 80 '{FLASK}' --app guestbook demo --port {port}")
    why = f"Port {port} is in use or cannot be used. Take another one, or leave out --port."
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {why}\n")
    assert visit.left_over() == []
