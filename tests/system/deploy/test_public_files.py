"""nginx and Apache give readers the pages from files; what one visitor alone sees comes from the program."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support import factories, visitor
from tests.support.processes import free_port, wait_for
from tests.support.receiver import Receiver
from tests.support.visitor import set_
from tests.system.deploy import visit
from tests.system.deploy.installation import Installation
from tests.system.deploy.test_apache import CGI, apache, load
from tests.system.deploy.test_nginx import nginx, server
from tests.system.deploy.visit import Browser

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}


def open_to_all(folder: Path) -> Path:
    """Make a folder that the user of the book may write in."""
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def sign_from_a_file(browser: Browser, folder: Path) -> str:
    """Fill in the form of the file, click once more, and return the comment's path."""
    browser.session.cookies.clear()  # The program answers the owner.
    page = browser.page("/")
    assert "token" not in visitor.fields(page)
    preview = browser.ask(
        "POST", "/comments", data=visitor.fields(page) | {"name": "Bo", "message": "By a file"}
    )
    form = visitor.fields(browser.parsed(preview))
    signed = browser.ask("POST", "/comments", data=form)
    assert "By a file" in signed.text
    [comment_id] = re.findall("signed=([0-9a-f]{32})", signed.url)
    front = folder / "en/index.html"
    wait_for(lambda: front.exists() and "By a file" in front.read_text())
    wait_for((folder / "feed.json").exists)  # It is written last.
    return f"/comments/{comment_id}"


@pytest.mark.needs("nginx")
def test_with_nginx_the_book_can_be_read_while_the_program_is_stopped(
    installation: Installation, receiver: Receiver
) -> None:
    port, backend = free_port(), f"127.0.0.1:{free_port()}"
    folder, url = open_to_all(installation.run / "book-pages"), f"http://127.0.0.1:{port}"
    site = installation.file(
        "nginx/guestbook-files.conf",
        ("listen 80", f"listen 127.0.0.1:{port}"),
        ("server_name example.org", "server_name 127.0.0.1"),
        ("root /var/www/book-pages", f"root {folder}"),
        ("127.0.0.1:8080", backend),
    )
    front = nginx(installation, f"include /etc/nginx/mime.types; include {site};")
    settings = {"PUBLIC_FOLDER": str(folder), "TRUSTED_PROXIES": "1"}
    command = [
        word for word in server(installation, "serve", backend) if word not in ("--url-prefix", "/guestbook")
    ]
    with (
        front,
        installation.started(*command) as behind,
        visit.served(installation, url, receiver, **settings) as (browser, installed),
    ):
        visit.use_most(browser, installed, receiver)
        set_(per_page="10")
        [factories.sign(f"Comment {number}") for number in range(25)]
        with installation.started(command[0], "--app", "guestbook", "cron") as cron:
            assert (cron.process.wait(), "pages" in cron.output()) == (0, False)
        comment = sign_from_a_file(browser, folder)
        own = browser.ask("GET", comment)
        assert f"{comment}/edit" in own.text
        behind.signal_all(9)
        behind.process.wait()
        reader = Browser(url)
        shown: list[str] = []
        address = "/"
        while address:
            page = reader.page(address)
            shown += visitor.messages(page)
            address = next((one for one in visitor.hrefs(page) if one.startswith("/?before=")), "")
        assert "By a file" in shown[0]
        assert {f"Comment {number}" for number in range(25)} <= set(shown)
        german = reader.ask("GET", comment, headers=GERMAN)
        assert ('lang="de"' in german.text, german.headers["Cache-Control"]) == (True, "no-cache")
        assert reader.ask("GET", "/feed.atom").headers["Content-Type"] == "application/atom+xml"
        style = visitor.attributes(page, ".//link[@rel='stylesheet']")["href"]
        assert reader.ask("GET", style).status_code == 200
        with_cookie = [browser.ask("GET", path) for path in ("/", f"/?signed={comment[-32:]}", comment)]
        assert "guestbook_signed" in browser.session.cookies
        assert [("By a file" in one.text, f"{comment}/edit" in one.text) for one in with_cookie] == [
            (True, False)
        ] * 3
        assert browser.ask("GET", "/feed.atom").headers["Content-Type"] == "application/atom+xml"
        # Only the program has these.
        for method, path in (("GET", f"{comment}/edit"), ("GET", "/admin/"), ("POST", "/comments")):
            assert browser.ask(method, path).status_code == 502


@pytest.mark.needs("cgi")
def test_apache_starts_python_only_for_what_no_file_has(
    debian_host: Installation, receiver: Receiver
) -> None:
    port, root = free_port(), debian_host.run / "www"
    root.mkdir()
    folder, site = (
        open_to_all(root / "pages"),
        debian_host.file("cgi/files.htaccess", ("/path/to/pages", str(root / "pages"))),
    )
    shutil.copy(site, root / ".htaccess")
    shutil.copy(debian_host.file("cgi/index.cgi"), root)
    modules = load("cgid", "mime", "rewrite", "dir", "env") + CGI.format(run=debian_host.run, root=root)
    url, cgi = f"http://127.0.0.1:{port}", root / "index.cgi"
    settings = {"PUBLIC_FOLDER": str(folder)}
    with visit.served(debian_host, url, receiver, apache(debian_host, port, modules), **settings) as (
        browser,
        _,
    ):
        set_(per_page="10")
        [factories.sign(f"Comment {number}") for number in range(30)]
        main = f"import sys; sys.path.insert(0, '{debian_host.checkout}'); import guestbook; guestbook.main()"
        with debian_host.started(f"{debian_host.checkout}/.venv/bin/python", "-c", main, "cron") as cron:
            assert (cron.process.wait(), cron.output()) == (0, "")
        comment = sign_from_a_file(browser, folder)
        assert f"{comment}/edit" in browser.ask("GET", comment).text
        cgi.rename(root / "gone")
        reader = Browser(url)
        page = reader.page("/")
        older = next(one for one in visitor.hrefs(page) if one.startswith("/?before="))
        assert "By a file" in visitor.messages(page)[0]
        assert len(visitor.messages(page) + visitor.messages(reader.page(older))) > 20
        assert 'lang="de"' in reader.ask("GET", comment, headers=GERMAN).text
        assert 'lang="en"' in reader.ask("GET", "/", headers={"Accept-Language": "fi"}).text
        assert reader.ask("GET", f"{comment}.atom").headers["Content-Type"] == "application/atom+xml"
        style = visitor.attributes(page, ".//link[@rel='stylesheet']")["href"]
        assert reader.ask("GET", style).status_code == 200
        assert reader.ask("GET", "/pages/.guestbook-pages").status_code == 403
        # Python would have to start for these.
        assert reader.ask("GET", "/feed.atom?before=" + comment[-32:]).status_code == 404
        for path in ("/", comment):
            assert "By a file" in browser.ask("GET", path).text
        assert browser.ask("GET", f"{comment}/edit").status_code == 404
        assert browser.ask("POST", "/comments").status_code == 404
