"""A release has the same bytes each time, and its guestbook.pyz runs with a Python that has no packages."""

import ast
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
import zipfile
from configparser import ConfigParser
from contextlib import closing
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest
from babel.dates import format_date
from packaging.requirements import Requirement

from guestbook.storage.preferences import BOOK_LANGUAGES
from scripts import release_files
from tests.conftest import run
from tests.support import processes
from tests.support.documents import DOCS, blocks
from tests.support.processes import ROOT
from tests.support.receiver import Receiver
from tests.system.browser.new_book import page_elsewhere, see_the_first_webhook
from tests.system.conftest import LOCKED

MOST_BYTES = 8_000_000
UNFIT = {
    "version_info = (3, 9, 2)": "Python 3.11 or later, and this is ",
    "platform = 'win32'": "Linux, macOS or another Unix.",
}


@pytest.fixture(scope="module")
def dist(builds: list[Path]) -> Path:
    return builds[0]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    assert run(sys.executable, "-m", "venv", "--without-pip", str(folder)).returncode == 0
    return folder / "bin/python3"


class Stranger:
    """Somebody who has the file, a Python without packages, and no setting."""

    def __init__(self, home: Path, python: Path, file: Path) -> None:
        self.home, self.python, self.file = home, python, file
        self.data = home / ".local/share/guestbook"
        self.environ = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(home)}

    def words(self, *words: str) -> list[str]:
        return [str(self.python), str(self.file), *words]

    def ask(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return run(*self.words(*words), cwd=self.home, env=self.environ | environ)

    def type(self, *words: str) -> str:
        """Run a command that succeeds and complains of nothing; return what it printed."""
        done = self.ask(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    @property
    def programs(self) -> list[Path]:
        return sorted(self.data.glob("program-*"))


@pytest.fixture(scope="module")
def stranger(dist: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """He has unpacked the program; each test leaves him a book."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(dist / "guestbook.pyz", home)
    one = Stranger(home, python, home / "guestbook.pyz")
    one.type("init-db")
    return one


def test_two_builds_have_the_same_bytes_and_their_sums(builds: list[Path]) -> None:
    first, second = ({path.name: path.read_bytes() for path in to.iterdir()} for to in builds)
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    sums = dict(reversed(line.split("  ")) for line in first.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in first.items()}
    assert {Path(name).suffix for name in sums} == {".whl", ".gz", ".pyz", ".zip"}
    assert len(first["guestbook.pyz"]) < MOST_BYTES


def test_the_wheel_lists_its_packages_as_pep_770_wants(dist: Path) -> None:
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        document = archive.read(release_files.SBOM)
        record = archive.read(f"{release_files.DIST_INFO}/RECORD").decode()
    components = {one["name"]: one for one in json.loads(document)["components"]}
    assert set(components) == set(LOCKED) - release_files.BUILD_TOOLS
    assert components["flask"]["purl"] == f"pkg:pypi/flask@{metadata.version('flask')}"
    assert (components["flask"]["scope"], components["cryptography"]["scope"]) == ("required", "optional")
    [line] = [line for line in record.splitlines() if line.startswith(release_files.SBOM)]
    assert line.endswith(f",{len(document)}")


def test_the_one_file_holds_no_compiled_code_and_the_licence_of_each_package(stranger: Stranger) -> None:
    [program] = stranger.programs
    files = [path.relative_to(program) for path in program.rglob("*") if "__pycache__" not in path.parts]
    assert [path for path in files if path.suffix in (".so", ".c", ".exe")] == []
    infos = {path.name.partition("-")[0] for path in program.glob("*.dist-info")}
    assert {"guestbook", "sqlalchemy", "markupsafe"} <= infos
    assert len(infos) == len(LOCKED.keys() - release_files.BUILD_TOOLS - release_files.COMPILED) + 1
    named = re.compile(r"licen[cs]e|copying", re.IGNORECASE)
    licensed = {path.parts[0].partition("-")[0] for path in files if named.search(path.name)}
    assert infos - licensed == set()


def test_dates_are_written_in_each_language_of_the_book(stranger: Stranger) -> None:
    [program] = stranger.programs
    code = "import sys, datetime, babel.dates as b; d = datetime.date(2026, 3, 1)"
    code += "; [print(b.format_date(d, 'long', one)) for one in sys.argv[1:]]"
    done = run(str(stranger.python), "-c", code, *BOOK_LANGUAGES, env={"PYTHONPATH": str(program)})
    expected = [format_date(date(2026, 3, 1), "long", one) for one in BOOK_LANGUAGES]
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")


def test_what_setup_cfg_requires_is_locked() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].strip().splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    assert [str(one) for one in wanted if LOCKED.get(one.name.lower(), "0") not in one.specifier] == []


def test_a_release_is_made_of_the_locked_packages_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("flask==0.1 \\\n    --hash=sha256:0\n")
    monkeypatch.setattr(sys, "argv", ["release_files", str(tmp_path), str(tmp_path / "dist")])
    with pytest.raises(SystemExit, match=r"\.venv lacks what requirements\.txt locks: flask 0\.1\."):
        release_files.main()
    assert not (tmp_path / "dist").exists()


@pytest.mark.needs("chromium")
def test_a_browser_alone_sees_the_first_webhook(dist: Path, python: Path, tmp_path: Path) -> None:
    began, port = time.monotonic(), processes.free_port()
    one = Stranger(tmp_path, python, dist / "guestbook.pyz")
    words = one.words("run", "--port", str(port))
    with processes.started(words, cwd=one.home, env=one.environ) as server, page_elsewhere() as page:
        see_the_first_webhook(page, began, server.output, f"http://127.0.0.1:{port}")


def test_a_stranger_runs_signs_and_a_receiver_has_the_webhook(stranger: Stranger) -> None:
    port = str(processes.free_port())
    address = f"http://127.0.0.1:{port}"
    with Receiver() as receiver:
        command = stranger.words("run", "--port", port)
        with processes.started(command, cwd=stranger.home, env=stranger.environ) as server:
            processes.wait_for(lambda: processes.answers(address), 60, server.output)
            added = stranger.type("webhooks", "add", receiver.url("/hook"), "--name", "mine")
            assert f"Try it: python3 {stranger.file} webhooks test " in added
            assert processes.sign(address, message="From one file") == 303
            (request,) = receiver.wait_for(1)
            assert request.json["data"]["comment"]["message"] == "From one file"
            server.signal_all(signal.SIGINT)
            assert server.process.wait(30) == 0
            assert "Traceback" not in server.output()
        private = {"GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
        assert stranger.ask("webhooks", "test", "mine", **private).returncode == 0
        done = stranger.ask("cron", **private)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert receiver.wait_for(2)[1].json["type"] == "ping"


def test_the_line_for_crontab_works_as_cron_runs_it(stranger: Stranger) -> None:
    with closing(sqlite3.connect(stranger.data / "guestbook.db")) as book:
        book.execute("DELETE FROM passes")
        book.commit()
    [line] = re.findall(r"(?m)^ *\* \* \* \* \* (.*)$", stranger.type("status"))
    assert (
        line == f"GUESTBOOK_DATA_DIR={stranger.data} {shlex.join(stranger.words('cron'))}"
    )  # HOME is not the user's
    done = run("env", "-i", "PATH=/usr/bin:/bin", f"HOME={stranger.home}", "sh", "-c", line, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "A pass ended " in stranger.type("status")


def test_help_and_errors_name_the_command_as_it_is_typed(stranger: Stranger) -> None:
    assert stranger.type("cron", "--help").startswith("Usage: python3 guestbook.pyz cron [OPTIONS]\n")
    assert stranger.type("--version") == f"guestbook {release_files.VERSION}\n"
    done = run("python3", "guestbook.pyz", "list", cwd=stranger.home, env=stranger.environ)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "Usage: python3 guestbook.pyz [OPTIONS] COMMAND [ARGS]...",
    )


def test_without_cryptography_a_sentence_says_so_and_that_of_the_system_is_used(stranger: Stranger) -> None:
    url = "https://example.org/hook"
    done = stranger.ask("webhooks", "add", url, "--sign-with", "key")
    assert (done.returncode, done.stderr.partition(",")[0]) == (
        1,
        "Error: The package cryptography is not installed",
    )
    assert f"{stranger.python} -m pip install 'cryptography>=42'" in done.stderr
    stranger.type("webhooks", "add", url, "--name", "plain")
    assert (
        "Secrets are stored unencrypted, because the package cryptography is not installed."
        in stranger.ask("doctor").stdout
    )
    site = stranger.python.parents[1] / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    shared = site / "system.pth"
    shared.write_text(f"{sysconfig.get_path('purelib')}\n")
    try:
        stranger.type("webhooks", "add", url, "--name", "sealed", "--sign-with", "key")
        code = "import flask, sqlalchemy; print(flask.__file__, sqlalchemy.__file__)"
        [program] = stranger.programs
        done = run(str(stranger.python), "-c", code, env={"PYTHONPATH": str(program)})
    finally:
        shared.unlink()
    assert done.stdout == f"{program}/flask/__init__.py {program}/sqlalchemy/__init__.py\n"
    with closing(sqlite3.connect(stranger.data / "guestbook.db")) as book:
        secrets = dict(
            book.execute("DELETE FROM webhooks RETURNING name, coalesce(secret, signing_key)").fetchall()
        )
        book.commit()
    assert secrets["sealed"].startswith("enc1.")
    assert secrets["plain"].startswith("whsec_")


def test_a_cgi_host_answers_with_the_script_of_the_guide(stranger: Stranger, tmp_path: Path) -> None:
    [script] = blocks((DOCS / "howto/run-from-one-file.md").read_text(), "python")
    path = tmp_path / "index.cgi"
    path.write_text(script.replace("/path/to/guestbook.pyz", str(stranger.file)))
    asked = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SERVER_NAME": "book.example",
    }
    asked |= {"SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "/book/index.cgi"}
    done = run(
        str(stranger.python), str(path), cwd=tmp_path, env=stranger.environ | asked, stdin=subprocess.DEVNULL
    )
    assert done.stdout.startswith("Status: 200 OK\n"), done.stderr
    assert 'action="/book/comments"' in done.stdout


def altered(file: Path, to: Path, start: str = "", packages: bytes = b"") -> None:
    """Write the file with another digest, or with other packages."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["__main__.py"] = re.sub(rb'(DIGEST = ")\w+', rb"\g<1>" + start.encode(), files["__main__.py"])
    files["packages.zip"] = packages or files["packages.zip"]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    to.write_bytes(made.getvalue())


def test_starts_at_the_same_moment_unpack_once_and_an_update_removes_what_nobody_uses(
    stranger: Stranger, tmp_path: Path
) -> None:
    [first] = stranger.programs
    changed = tmp_path / "guestbook.pyz"
    altered(stranger.file, changed, "2" * 16)
    words = [str(stranger.python), str(changed)]
    serve = stranger.words("serve", f"--listen=unix:{changed.with_name('socket')}")
    with processes.started(serve, env=stranger.environ, cwd=stranger.home) as server:
        processes.wait_for(lambda: "Serving on" in server.output(), 60, server.output)
        starts = [subprocess.Popen([*words, "--version"], env=stranger.environ) for _ in range(3)]
        assert [start.wait(60) for start in starts] == [0, 0, 0]
        assert stranger.programs == sorted([first, second := first.with_name(f"program-{'2' * 16}")])
    altered(stranger.file, changed, "3" * 16)
    assert run(*words, "--version", env=stranger.environ).returncode == 0
    assert stranger.programs == [second.with_name(f"program-{'3' * 16}")]
    stranger.type("--version")
    assert stranger.programs == [first]


def test_what_cannot_start_says_why(stranger: Stranger, tmp_path: Path) -> None:
    changed = tmp_path / "guestbook.pyz"
    altered(stranger.file, changed, "4" * 16, packages=b"of another day")
    done = run(str(stranger.python), str(changed), "--version", env=stranger.environ)
    sentence = "Error: guestbook.pyz is damaged. Copy it to this host again, in binary mode.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)
    assert [one.name for one in stranger.programs if one.name.startswith(f"program-{'4' * 16}")] == []
    done = stranger.ask("--version", GUESTBOOK_DATA_DIR=str(stranger.file))
    sentence = "Error: guestbook.pyz cannot be unpacked into the data folder: Not a directory.\n"
    assert (done.returncode, done.stderr) == (1, sentence)
    ast.parse(
        (ROOT / "deploy/one-file/main.py").read_text(), feature_version=(3, 7)
    )  # An older one must read it, to say why not.
    for pretence, sentence in UNFIT.items():
        code = f"import runpy, sys; sys.{pretence}; runpy.run_path(sys.argv[1], run_name='__main__')"
        done = run(str(stranger.python), "-c", code, str(stranger.file), env=stranger.environ)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: The guestbook needs {sentence}")


@pytest.mark.needs("unshare")
def test_the_first_start_needs_no_network(dist: Path, python: Path, tmp_path: Path) -> None:
    alone = ("unshare", "--net", str(python), "-I", "-S")
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = run(*alone, str(dist / "guestbook.pyz"), "init-db", env=environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_end_to_end_tests_pass_with_what_is_in_the_file(stranger: Stranger, tmp_path: Path) -> None:
    [program] = stranger.programs
    ours = {path.name for path in program.iterdir()} | {"greenlet"}
    ours |= {
        str(path).partition("/")[0] for name in release_files.COMPILED for path in metadata.files(name) or ()
    }
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name not in ours and path.suffix != ".pth":
            (tmp_path / path.name).symlink_to(path)
    where = os.pathsep.join(map(str, (program, ROOT, tmp_path)))
    environ = processes.clean_environ(PYTHONPATH=where, PYTHONSAFEPATH="1", HOME=str(stranger.home))
    environ["PYTHONDONTWRITEBYTECODE"] = ""
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=append", "-k", "not postgresql and not mariadb")
    done = run(
        str(stranger.python),
        "-m",
        "pytest",
        *options,
        "tests/system/test_end_to_end.py",
        cwd=ROOT,
        env=environ,
    )
    assert re.search(r"(?m)^[3-9] passed", done.stdout), done.stdout + done.stderr
    assert done.returncode == 0
