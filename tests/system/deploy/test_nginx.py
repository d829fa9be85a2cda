"""nginx in front of `guestbook serve` and of gunicorn below a path, and with the files of YunoHost's package.

test_guides.py follows run-behind-nginx, for the top of a site. Both run what run-behind-a-proxy says.
"""

import getpass
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from tests.support.processes import Started, free_port
from tests.support.receiver import Receiver
from tests.system.deploy import visit
from tests.system.deploy.installation import Installation

pytestmark = pytest.mark.needs("nginx")

MAIN = """daemon off; user {user};
pid {run}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {folders}
    {site}
}}
"""
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
SITE = "server {{ listen 127.0.0.1:{port} ssl; {certificate} include {part}; }}"
OPTIONS = "--listen 127.0.0.1:8080"


@contextmanager
def nginx(installation: Installation, site: str) -> Iterator[Started]:
    run = installation.run
    user = "root" if os.geteuid() == 0 else getpass.getuser()  # it counts for root alone
    folders = " ".join(f"{name}_temp_path {run}/{name};" for name in FOLDERS)
    main = installation.write("nginx.conf", MAIN.format(run=run, folders=folders, site=site, user=user))
    with installation.started("nginx", "-c", str(main), "-p", str(run), "-e", "stderr") as program:
        yield program


@pytest.fixture
def certificate(installation: Installation) -> str:
    """A certificate for 127.0.0.1, as the lines of nginx that certbot would add."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(installation.run / "ca.pem")
    own.private_key_and_cert_chain_pem.write_to_path(installation.run / "own.pem")
    pem = installation.run / "own.pem"
    return f"ssl_certificate {pem}; ssl_certificate_key {pem};"


def filled_in(installation: Installation, name: str, values: dict[str, str]) -> str:
    """Return a file of YunoHost's package as YunoHost fills it in: each __NAME__ that it has."""
    path = installation.file(f"yunohost/conf/{name}")
    return re.sub("__([A-Z_]+)__", lambda found: values[found[1]], path.read_text())


def server(installation: Installation, kind: str, backend: str) -> list[str]:
    """Return the command of the server behind nginx, as the service of systemd has it."""
    marks = {"serve": f"{OPTIONS} --url-prefix", "gunicorn": "bin/gunicorn"}
    unit = installation.file("systemd/guestbook.service", ("127.0.0.1:8080", backend))
    wanted = marks[kind].replace("127.0.0.1:8080", backend)
    line = next(line for line in unit.read_text().splitlines() if wanted in line)
    if kind == "gunicorn":
        below = ("# raw_env", "raw_env")
        installation.file("gunicorn/gunicorn.conf.py", ("127.0.0.1:8080", backend), below)
    return line.partition("ExecStart=")[2].split()


@pytest.mark.parametrize("kind", ["serve", "gunicorn"])
def test_nginx_passes_the_book_below_a_path_on_over_https(
    installation: Installation, receiver: Receiver, certificate: str, kind: str
) -> None:
    port, backend = free_port(), f"127.0.0.1:{free_port()}"
    part = installation.file("nginx/guestbook-subpath.conf", ("127.0.0.1:8080", backend))
    site = SITE.format(port=port, certificate=certificate, part=part)
    behind = installation.started(*server(installation, kind, backend))
    programs, url = (behind, nginx(installation, site)), f"https://127.0.0.1:{port}/guestbook"
    visit.whole(installation, url, receiver, *programs, TRUSTED_PROXIES="1")


def test_yunohost_s_files_pass_the_book_on(
    installation: Installation, receiver: Receiver, certificate: str, path: str
) -> None:
    port, behind_port = free_port(), free_port()
    flask = f"{installation.checkout}/.venv/bin/flask --app guestbook"
    values = {"APP": "guestbook", "INSTALL_DIR": "HERE", "DATA_DIR": str(installation.data)}
    values |= {"PATH": path, "PREFIX": path, "PORT": str(behind_port)}  # it writes no / twice
    part = installation.write("yunohost.conf", filled_in(installation, "nginx.conf", values))
    unit = filled_in(installation, "systemd.service", values).replace("HERE/venv/bin/guestbook", flask)
    command = shlex.split(next(line for line in unit.splitlines() if line.startswith("ExecStart=")))
    environ = {"GUESTBOOK_DATA_DIR": str(installation.data)}
    behind = installation.started(command[0].partition("=")[2], *command[1:], env=environ)
    front = nginx(installation, SITE.format(port=port, certificate=certificate, part=part))
    url = f"https://127.0.0.1:{port}{path}"
    visit.whole(installation, url, receiver, behind, front, TRUSTED_PROXIES="1")
