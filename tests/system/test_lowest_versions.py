"""With the lowest versions of packages that setup.cfg allows a comment reaches its receiver.

uv installs exactly these. The packages that they need themselves are as new as they may be.
"""

import json
import re
import shutil
import sqlite3
import sys
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.conftest import need, run, settings_for
from tests.support import databases, processes
from tests.support.processes import ROOT
from tests.support.receiver import Receiver

EXTRAS = ("postgres", "mariadb", "celery", "encryption")
FLOOR = re.compile(r"(?m)^([\w-]+)(?:\[\w+\])?>=([\d.]+)")
LISTED = """
import importlib.metadata, json
print(json.dumps({one.name.lower(): one.version for one in importlib.metadata.distributions()}))
"""


def succeed(*command: str, **options: Any) -> str:
    """Run a command that ends well, and return what it printed."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs in a virtual environment with the lowest versions."""
    need("uv")
    folder = tmp_path_factory.mktemp("lowest")
    source = processes.copy_of_the_checkout(folder / "source")
    uv, venv = str(shutil.which("uv")), folder / "venv"
    succeed(uv, "venv", "--quiet", "--python", sys.executable, str(venv))
    wanted = f"{source}[{','.join(EXTRAS)}]"
    install = (uv, "pip", "install", "--quiet", "--python", str(venv / "bin/python"))
    succeed(*install, "--resolution", "lowest-direct", wanted)
    return venv / "bin"


@pytest.mark.parametrize("mode", databases.KINDS)
def test_a_comment_becomes_a_signed_webhook(
    mode: str, programs: Path, receiver: Receiver, tmp_path: Path
) -> None:
    if mode in databases.SERVERS:
        need(mode)
    with databases.fresh(mode, tmp_path) as url:
        environ = processes.clean_environ(**settings_for(tmp_path, url))

        def guestbook(*words: str) -> str:
            return succeed(str(programs / "guestbook"), *words, cwd=tmp_path, env=environ)

        guestbook("init-db")
        secret = json.loads(guestbook("webhooks", "add", receiver.url("/"), "--json"))["secret"]
        address = f"127.0.0.1:{processes.free_port()}"
        command = [str(programs / "guestbook"), "serve", "--listen", address]
        with processes.started(command, cwd=tmp_path, env=environ) as server:
            processes.wait_for(lambda: processes.answers(f"http://{address}"), 60, server.output)
            assert processes.sign(f"http://{address}", name="Zoë", message="Good day") == 303
            assert processes.fetch(f"http://{address}/api/v1/openapi.json")[0] == 200
            assert processes.fetch(f"http://{address}/admin/setup/")[0] == 200
        assert guestbook("cron") == ""
        [request] = receiver.requests
        body = Verifier(secret).verify(request.body, request.headers)
        assert body["data"]["comment"]["name"] == "Zoë"
        [row] = json.loads(guestbook("deliveries", "list", "--json"))
        assert (row["status"], row["attempts"]) == ("processed", 1)


def test_an_older_book_is_upgraded(programs: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "guestbook.db")) as book:
        book.executescript((ROOT / "tests/storage/schemas/0024.sql").read_text())
    environ = processes.clean_environ(GUESTBOOK_DATA_DIR=str(tmp_path))
    done = succeed(str(programs / "guestbook"), "upgrade", cwd=tmp_path, env=environ)
    assert "The book is up to date" in done


def test_the_versions_are_those_of_setup_cfg(programs: Path) -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    named = "\n".join([config["options"]["install_requires"], *(extras[name] for name in EXTRAS)])
    floors = {name.lower(): version for name, version in FLOOR.findall(named)}
    assert floors.keys() >= {"flask", "sqlalchemy", "psycopg", "pymysql", "celery", "cryptography"}
    listed = json.loads(succeed(str(programs / "python"), "-c", LISTED))
    installed = {name.replace("_", "-"): version for name, version in listed.items()}

    def parts(version: str) -> list[int]:
        """`3.1.0` and `3.1` are the same."""
        numbers = [int(part) for part in version.split(".")]
        return numbers + [0] * (3 - len(numbers))

    assert {name: parts(installed[name]) for name in floors} == {
        name: parts(version) for name, version in floors.items()
    }
