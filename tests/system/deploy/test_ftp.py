"""What the guide run-with-ftp-only says, from the copied files to the first comment."""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.owner import PASSWORD
from tests.support.visitor import GREETING, fields
from tests.system.deploy.installation import Installation
from tests.system.deploy.test_apache import CGI, PASSENGER, apache, load
from tests.system.deploy.visit import Browser


@pytest.fixture
def archive(builds: list[Path]) -> Path:
    """The zip of a release of this tree."""
    return builds[0] / "guestbook-ftp.zip"


def copy_by_ftp(archive: Path, part: str, to: Path, host: Installation) -> None:
    """Copy the folder `guestbook`, and what is in another one, as the user of the host."""
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            folder, _, rest = name.partition("/")
            if folder in ("guestbook", part):
                path = to / (name if folder == "guestbook" else rest)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(opened.read(name))
    for path in (host.run, *host.run.rglob("*")):
        if host.user:
            os.chown(path, host.user, host.user)


@contextmanager
def cgi(host: Installation, archive: Path, path: str) -> Iterator[tuple[Browser, Path]]:
    root, port = host.run / "www", processes.free_port()
    folder = root / path.lstrip("/")
    copy_by_ftp(archive, "cgi", folder, host)
    (folder / "index.cgi").chmod(0o755)
    site = load("cgid", "mime", "rewrite", "dir", "env") + CGI.format(run=host.run, root=root)
    with apache(host, port, site):
        yield Browser(f"http://127.0.0.1:{port}{path}"), folder


@contextmanager
def passenger(host: Installation, archive: Path, path: str) -> Iterator[tuple[Browser, Path]]:
    root, port = host.run / "app", processes.free_port()
    copy_by_ftp(archive, "passenger", root, host)
    lines = f"PassengerPython /usr/bin/python3\nPassengerAppRoot {root}\nPassengerAppType wsgi\n"
    lines += "PassengerStartupFile passenger_wsgi.py\n"
    empty = host.run / "public"
    empty.mkdir()
    place = f"Alias {path} {empty}\n<Location {path}>\nPassengerBaseURI {path}\n</Location>\n" if path else ""
    conf = host.write("app.conf", f"{lines}{place}<Directory {empty}>\nRequire all granted\n</Directory>\n")
    site = load("passenger", "alias") + PASSENGER.format(run=host.run, static=empty, conf=conf)
    with apache(host, port, site):
        yield Browser(f"http://127.0.0.1:{port}{path}"), root


def set_up(browser: Browser, data: Path) -> None:
    """Do what the guide says, as a browser would."""
    answer = browser.ask("GET", "/admin/")
    assert answer.url == f"{browser.base_url}/admin/setup/"
    code = (data / "setup-code.txt").read_text().split()[0]
    headers = {"Origin": browser.origin}
    answer = browser.ask("POST", "/admin/setup/", data={"code": code})
    assert "Make the tables" in answer.text
    answer = browser.ask("POST", f"/admin/setup/{code}/tables")
    shown = fields(browser.parsed(answer))
    assert shown["address"] == browser.base_url
    form = {"password": PASSWORD, "title": "By FTP", "address": shown["address"], "moderation": "suspicious"}
    answer = browser.ask("POST", f"/admin/setup/{code}", data=form | {"without_cron": "yes"}, headers=headers)
    assert (answer.status_code, "Your book is set up, and you are logged in." in answer.text) == (200, True)
    assert not (data / "setup-code.txt").exists()


@pytest.mark.parametrize(  # A page by CGI takes a second, so it is tried at one of the two paths.
    ("serve", "path"),
    [
        pytest.param(cgi, "/guestbook", marks=pytest.mark.needs("cgi"), id="cgi"),
        pytest.param(passenger, "", marks=pytest.mark.needs("passenger"), id="passenger"),
    ],
)
def test_from_the_copied_files_to_the_first_comment(
    debian_host: Installation, archive: Path, path: str, serve: type
) -> None:
    with serve(debian_host, archive, path) as (browser, folder):
        data = folder / "guestbook/data"
        set_up(browser, data)
        assert f"GUESTBOOK_BASE_URL={browser.base_url}\n" in (data / ".env").read_text()
        form = fields(browser.page("/")) | GREETING
        assert "Hello" in browser.ask("POST", "/comments", data=form).text
        if serve is cgi:
            assert browser.ask("GET", "/guestbook/data/secret_key").status_code == 403
            assert browser.ask("GET", "/guestbook/guestbook.pyz").status_code == 403
        home = browser.ask("GET", "/").text
        assert re.search(rf'<link rel="canonical" href="{re.escape(browser.base_url)}/">', home)
