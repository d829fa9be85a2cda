"""The wheel is complete, and installed by name the guestbook works in an empty folder without any setting."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import run
from tests.support import processes
from tests.support.owner import PASSWORD


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processes.copy_of_the_checkout(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a fresh checkout, built with the setuptools of this Python."""
    to = tmp_path_factory.mktemp("wheel")
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(to)!r})"
    succeed(sys.executable, "-c", build, cwd=source)
    [wheel] = to.glob("guestbook-*.whl")
    return wheel


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `guestbook` in a new virtual environment, which sees the packages of this Python."""
    folder = tmp_path_factory.mktemp("program") / "venv"
    succeed(sys.executable, "-m", "venv", "--without-pip", str(folder))
    packages = Path(sysconfig.get_path("purelib"))
    # Python reads no .pth of the folder that this names, so no editable install hides the wheel.
    (folder / packages.relative_to(sys.prefix) / "shared.pth").write_text(f"{packages}\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    alone = ("--no-deps", "--no-index", str(wheel))
    succeed(*pip, "--python", str(folder / "bin/python"), "install", *alone)
    return folder / "bin/guestbook"


def succeed(*command: str, cwd: Path | None = None) -> None:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stderr


class Newcomer:
    """Somebody who has installed the wheel and types in an empty folder."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder, self.home = folder / "empty", folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}

    def type(self, *words: str) -> str:
        """Run a command that succeeds and complains of nothing; return what it printed."""
        done = run(str(self.program), *words, cwd=self.folder, env=self.environ)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout


@pytest.fixture
def newcomer(program: Path, tmp_path: Path) -> Newcomer:
    return Newcomer(program, tmp_path)


def files_of(source: Path) -> set[str]:
    """The files of the package in the checkout."""
    found = (path for path in (source / "guestbook").rglob("*") if path.is_file())
    return {path.relative_to(source).as_posix() for path in found if path.suffix != ".pyc"}


def test_the_wheel_and_the_source_archive_hold_every_file_of_the_package(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        schema = archive.read("guestbook/schema.sql")
    assert inside == files_of(source)
    assert {"guestbook/py.typed", "guestbook/templates/snippets/python.txt"} <= inside
    assert schema == (source / "schema.sql").read_bytes()
    code = f"import setuptools.build_meta as build; build.build_sdist({str(tmp_path)!r})"
    done = run(sys.executable, "-c", code, cwd=source, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("guestbook-*.tar.gz")
    with tarfile.open(path) as source_archive:
        members = {one.name.partition("/")[2]: one for one in source_archive.getmembers()}
        assert members["guestbook/schema.sql"].isfile()
    assert files_of(source) <= set(members)


def test_from_the_wheel_a_newcomer_runs_signs_and_sees_the_webhook(newcomer: Newcomer) -> None:
    port = str(processes.free_port())
    address, data = f"http://127.0.0.1:{port}", newcomer.home / ".local/share/guestbook"
    command = [str(newcomer.program), "run", "--port", port]
    with processes.started(command, cwd=newcomer.folder, env=newcomer.environ) as server:
        processes.wait_for(lambda: processes.answers(address), 60, server.output)
        link = processes.set_up(server.output(), PASSWORD)
        assert processes.log_in(address, PASSWORD) == 303
        bin_ = json.loads(newcomer.type("bins", "add", "--json"))
        assert bin_["url"].startswith(f"{address}/bin/")
        assert f"Try it: {newcomer.program} webhooks test " in newcomer.type("webhooks", "add", bin_["url"])
        assert processes.sign(address, message="From the wheel") == 303
        processes.wait_for_row(data, "SELECT 1 FROM deliveries WHERE status = 'processed'", 60, server.output)
        assert "From the wheel" in newcomer.type("bins", "show", bin_["id"], "--json")
        assert " delivered " in newcomer.type("deliveries", "list")
        assert server.output().count(link) == 1
        server.signal_all(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert server.members() == []
        assert "Traceback" not in server.output()
    assert re.search(rf"(?m)^data folder +{data}$", newcomer.type("status"))
    assert newcomer.type("cron") == ""
    check_the_talk(newcomer)
    assert list(newcomer.folder.iterdir()) == []
    assert {path.name for path in data.iterdir()} >= {"guestbook.db", "secret_key"}


def check_the_talk(newcomer: Newcomer) -> None:
    """Its page names lines of the installed program."""
    command = [str(newcomer.program), "talk"]
    with processes.started(command, cwd=newcomer.folder, env=newcomer.environ) as talk:
        processes.wait_for(lambda: "Ctrl-C ends it" in talk.output(), 60, talk.output)
        [address] = re.findall(r"^The talk is at (\S+)", talk.output())
        assert (
            processes.fetch(f"{address}do", {"button": "sign", "name": "Ada", "message": "Hello"})[0] == 303
        )
        assert "guestbook/comments/comment_actions.py:" in processes.fetch(address)[1]
        talk.process.send_signal(signal.SIGTERM)
        assert talk.process.wait(30) == 0


def test_an_older_book_is_upgraded_with_the_migrations_of_the_wheel(newcomer: Newcomer) -> None:
    data = newcomer.home / ".local/share/guestbook"
    data.mkdir(parents=True)
    with closing(sqlite3.connect(data / "guestbook.db")) as book:
        book.executescript((processes.ROOT / "tests/storage/schemas/0024.sql").read_text())
    done = run(str(newcomer.program), "cron", cwd=newcomer.folder, env=newcomer.environ)
    assert done.returncode == 1
    assert done.stderr.endswith(f"Update them with: {newcomer.program} upgrade\n")
    assert "The book is up to date" in newcomer.type("upgrade")
    assert newcomer.type("webhooks", "list").startswith("No webhooks yet.")


def test_a_port_that_is_in_use_gets_a_sentence_that_names_the_program(newcomer: Newcomer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = run(str(newcomer.program), "run", "--port", port, cwd=newcomer.folder, env=newcomer.environ)
    assert (done.returncode, done.stdout) == (1, "")
    other = rf"{re.escape(str(newcomer.program))} run --port 50\d\d"
    assert re.fullmatch(rf"Port {port} is in use or cannot be used. Take another one: {other}\n", done.stderr)
    assert list(newcomer.home.iterdir()) == []
