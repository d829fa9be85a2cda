"""`guestbook run` refuses a port that it cannot have, before it makes anything."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text

from guestbook.cli import run as run_module
from guestbook.cli.run import PASS_COMMAND, run
from guestbook.storage import cron_token, database
from guestbook.storage.database import db
from tests.conftest import running, settings_for
from tests.storage import earlier_books
from tests.support import processes
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.owner import Owner
from tests.support.processes import answers, clean_environ, free_port, started, wait_for
from tests.support.receiver import HANG, Receiver

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[ExitStack]:
    """The port 5001 is in use, and those that the test takes."""
    with ExitStack() as held:
        with suppress(OSError):  # if another program has it, that is as good
            held.enter_context(socket.create_server((HOST, 5001)))
        yield held


def test_the_port_that_is_advised_instead_can_be_had(taken: ExitStack) -> None:
    done = CliRunner().invoke(run, ["--port", "5001"])
    assert (done.exit_code, done.stdout) == (1, "")
    [advised] = re.findall(r"run --port (\d+)\n", done.stderr)
    taken.enter_context(socket.create_server((HOST, int(advised))))


@pytest.mark.usefixtures("taken")
def test_in_a_checkout_the_advice_for_a_port_of_the_environment_names_the_script() -> None:
    done = CliRunner().invoke(run, [], env={"PORT": "5001"})
    assert (done.exit_code, done.stdout) == (1, "")
    sentence = "Port 5001 is in use or cannot be used. Take another one: PORT="
    assert re.fullmatch(rf"{sentence}50\d\d scripts/run\n", done.stderr)


@pytest.mark.parametrize("port", ["http", "70000"])
def test_what_is_no_port_is_wrong_usage(port: str) -> None:
    done = CliRunner().invoke(run, [], env={"PORT": port})
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.search(rf"Invalid value for '--port'.+{port}", done.stderr)


def test_an_address_of_another_machine_is_wrong_usage() -> None:
    done = CliRunner().invoke(run, ["--host", "192.0.2.1"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "This machine does not have the address 192.0.2.1." in done.stderr


def test_a_book_that_others_reach_sends_nothing_to_this_machine(tmp_path: Path) -> None:
    port = free_port()
    program = [sys.executable, "-c", "import guestbook; guestbook.main()", "run", f"--port={port}"]
    environ = clean_environ(GUESTBOOK_DATA_DIR=str(tmp_path))
    noted = {}
    for host in (HOST, "127.0.0.2"):
        with started([*program, f"--host={host}"], env=environ) as server:
            wait_for(partial(answers, f"http://{host}:{port}/"), or_show=server.output)
            noted[host] = json.loads((tmp_path / "run.json").read_text())["settings"]
            assert [answers(f"http://{one}:{port}/") for one in noted] == [one == host for one in noted]
    assert noted[HOST]["GUESTBOOK_ALLOW_NETWORKS"] == "127.0.0.0/8,::1/128"
    assert noted["127.0.0.2"]["GUESTBOOK_ALLOW_NETWORKS"] == ""


@pytest.mark.parametrize("command", ["run", "serve"])
def test_an_older_book_is_served_so_that_its_pages_can_upgrade_it(tmp_path: Path, command: str) -> None:
    """In a container there is perhaps no terminal."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    place = f"--port={port}" if command == "run" else f"--listen=127.0.0.1:{port}"
    program = [sys.executable, "-c", "import guestbook; guestbook.main()", command, place]
    with earlier_books.earlier("sqlite-wal", tmp_path) as url:
        environ = clean_environ(**settings_for(tmp_path, url) | {"GUESTBOOK_BASE_URL": site})
        with started(program, env=environ) as server:
            wait_for(partial(answers, f"{site}/admin/setup/"), or_show=server.output)
            assert f"Update the book at {site}/admin/ or type " in server.output()
            code = (tmp_path / "setup-code.txt").read_text().split()[0]
            requests.post(f"{site}/admin/setup/{code}/tables", timeout=60).raise_for_status()
            assert answers(f"{site}/")


def test_serve_prints_no_link_to_a_book_of_a_later_program(environ: dict[str, str], forks: Forks) -> None:
    with running(environ) as app, app.app_context(), database.write(db.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    place = f"127.0.0.1:{free_port()}"
    server = forks.start(environ, "serve", f"--listen={place}")
    wait_for(lambda: answers(f"http://{place}/static/mark.svg"), 60, lambda: server.printed)
    assert requests.get(f"http://{place}/admin/setup/", timeout=20).status_code == 503
    assert "Set up" not in server.printed
    server.end()


def test_the_process_of_a_pass_can_import_what_its_code_names() -> None:
    command = [*PASS_COMMAND[: PASS_COMMAND.index("cron")], "--version"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.read().startswith("guestbook ")  # its standard input is open until then
    assert process.returncode == 0


def test_at_sigterm_the_request_under_way_is_answered(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", HANG)
    patient = environ | {"GUESTBOOK_TIMEOUT": "120"}
    with database.writing() as session:
        token = cron_token.make(session)
    with forks.serving(patient) as (address, server), ThreadPoolExecutor(1) as threads:
        book.webhook(receiver.url())
        book.publish()
        asked = threads.submit(requests.post, f"{address}/cron/{token}", timeout=120)
        receiver.wait_for(1)
        server.terminate()
        receiver.release()
        assert asked.result().status_code == 200
        assert server.wait() == 0
    assert book.statuses() == {"processed": 1}


@pytest.mark.parametrize("is_chosen", [True, False])
def test_serve_prints_the_link_to_a_book_without_a_password(
    environ: dict[str, str], forks: Forks, is_chosen: bool
) -> None:
    with running(environ) as app:
        if not is_chosen:
            del environ["GUESTBOOK_BASE_URL"]
        with forks.serving(environ) as (address, server):
            [link] = re.findall(r"Set up your book within 30 minutes at (\S+)\n", server.printed)
            site = "https://book.example" if is_chosen else address
            assert link.startswith(f"{site}/admin/setup/")
            assert requests.get(link.replace(site, address), timeout=20).status_code == 200
        assert Owner(app).log_in().status_code == 303
        with forks.serving(environ) as (_, server):
            assert "Set up" not in server.printed


def test_serve_starts_without_tables_too(environ: dict[str, str], forks: Forks) -> None:
    place = f"127.0.0.1:{processes.free_port()}"
    empty = environ | {"GUESTBOOK_DATABASE_URL": "sqlite:///empty.db"}
    server = forks.start(empty, "serve", f"--listen={place}")
    processes.wait_for(lambda: processes.answers(f"http://{place}/admin/setup/"), 60, lambda: server.printed)
    assert "Set up" not in server.printed
    server.end()


def test_visitors_get_no_connection_that_waits_as_long_as_a_command(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    class Server:
        run = staticmethod(lambda: left.append(db.engine.pool.checkedin()))  # type: ignore[attr-defined]  # of this pool

    monkeypatch.setattr(run_module, "listening", lambda *_: (Server, "http://127.0.0.1:1"))
    assert app.test_cli_runner().invoke(args=["serve"]).exit_code == 0
    assert left == [0]
