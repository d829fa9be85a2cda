"""A checkout on a host: its virtual environment, a book in it, and the files of deploy filled in for it."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from venv import EnvBuilder

from sqlalchemy import Connection

from guestbook.storage.database import db
from tests.conftest import running
from tests.support import factories, inbound_factories, processes, servers
from tests.support.api_client import new_token
from tests.support.owner import Owner
from tests.support.processes import ROOT, Started

PLACEHOLDER = "/path/to/guestbook"
PROGRAMS = {
    "flask": "flask.cli:main",
    "guestbook": "guestbook:main",
    "gunicorn": "gunicorn.app.wsgiapp:run",
    "uwsgi": "pyuwsgi:run",
}

SCRIPT = "#!{}\nimport sys\nfrom {} import {} as main\nsys.exit(main())\n"


class Installation:
    """What the owner has on the host; servers run as a user without rights, where we may choose.

    With `debian` its Python and packages are Debian's, which all users and the modules of Apache can use.
    """

    def __init__(self, folder: Path, *, debian: bool = False) -> None:
        self.checkout = folder / "guestbook"
        self.data = self.checkout / "instance"
        self.run = folder / "run"  # for sockets, logs and configurations
        self.checkout.mkdir()
        self.run.mkdir()
        if debian:
            compile_for_debian()
        unfinished = shutil.ignore_patterns("*.pyc.*")  # other tests compile at the same time
        shutil.copytree(ROOT / "guestbook", self.checkout / "guestbook", ignore=unfinished)
        for name in ("setup.cfg", "schema.sql", "deploy"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.checkout / name)  # type: ignore[operator]  # both take two paths
        self.user = 0
        if os.geteuid() == 0 and (debian or _is_open_to_all(Path(sys.base_prefix), Path(sys.prefix))):
            self.user = pwd.getpwnam("nobody").pw_uid  # Passenger wants one that has a name
        venv = self.checkout / ".venv"
        if debian:  # It sees the packages that apt has installed.
            options = ["--without-pip", "--system-site-packages"]
            subprocess.run([servers.DEBIAN_PYTHON, "-m", "venv", *options, str(venv)], check=True)
        else:
            self._make_venv(venv)

    def _make_venv(self, venv: Path) -> None:
        """Make .venv as scripts/install does, with the packages of this Python."""
        EnvBuilder(symlinks=True).create(venv)
        packages = Path(sysconfig.get_path("purelib"))
        shared = venv / packages.relative_to(sys.prefix) / "shared.pth"
        shared.write_text(f"{self.checkout}\n{packages}\n")
        for name, entry in PROGRAMS.items():
            module, _, function = entry.partition(":")
            program = venv / "bin" / name
            program.write_text(SCRIPT.format(venv / "bin/python", module, function))
            program.chmod(0o755)

    def file(self, name: str, *changes: tuple[str, str]) -> Path:
        """Fill in a file of deploy/ as its page says; each text that changes must be there."""
        path = self.checkout / "deploy" / name
        text = path.read_text()
        for old, new in (*changes, (PLACEHOLDER, str(self.checkout))):
            assert old in text or old == PLACEHOLDER, (name, old)
            text = text.replace(old, new)
        path.write_text(text)
        return path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the host itself."""
        path = self.run / name
        path.write_text(text)
        return path

    @contextmanager
    def book(self, base_url: str, receiver: str, **settings: str) -> Iterator["Installed"]:
        """Give the book of this host: with a password, a webhook, a source named `tok` and an API token."""
        self.data.mkdir(mode=0o700)
        given = {"BASE_URL": base_url, "ALLOW_NETWORKS": "127.0.0.0/8", **settings}
        lines = [f"GUESTBOOK_{name}={value}\n" for name, value in given.items()]
        (self.data / ".env").write_text("".join(lines))
        environ = {
            "GUESTBOOK_DATA_DIR": str(self.data),
            "GUESTBOOK_DATABASE_URL": f"sqlite:///{self.data / 'guestbook.db'}",
        }
        with running(environ) as app, app.app_context():
            Owner(app)
            factories.webhook(receiver)
            inbound_factories.source()
            token = new_token()
            for path in (self.data, *self.data.iterdir(), self.run, *self.run.iterdir()):
                if self.user:
                    os.chown(path, self.user, self.user)
            key = app.secret_key
            assert isinstance(key, str)
            yield Installed(key, db.engine.connect, factories.run_pass, token)

    @contextmanager
    def started(self, *command: str, **options: Any) -> Iterator[Started]:
        """Start a program of the host as its user."""
        if self.user:
            options |= {"user": self.user, "group": self.user, "extra_groups": []}
        environ = processes.clean_environ(HOME=str(self.run), **options.pop("env", {}))
        with processes.started(list(command), env=environ, cwd=self.run, **options) as program:
            yield program


class Installed(NamedTuple):
    """The book in it, seen from the tests' process."""

    key: str
    connect: Callable[[], Connection]
    cron: Callable[[], object]  # makes a pass
    token: str
    hook: str = "/hooks/tok"  # the path of a source's URL


@cache
def compile_for_debian() -> None:
    """Compile the book for Debian's Python: the user of the server could not store what it compiles."""
    command = [servers.DEBIAN_PYTHON, "-m", "compileall", "-q", str(ROOT / "guestbook")]
    subprocess.run(command, check=True)


def _is_open_to_all(*folders: Path) -> bool:
    """Whether other users reach these folders; a Python in root's home folder is root's alone."""
    return all(one.stat().st_mode & 0o005 == 0o005 for folder in folders for one in (folder, *folder.parents))
