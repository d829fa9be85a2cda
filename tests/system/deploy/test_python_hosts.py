"""uWSGI, and the WSGI file of PythonAnywhere."""

import sys

import pytest

from tests.support.processes import free_port, wait_for
from tests.support.receiver import Receiver
from tests.system.deploy import visit
from tests.system.deploy.installation import Installation
from tests.system.deploy.visit import Browser


@pytest.mark.needs("uwsgi")
def test_uwsgi_serves_the_book(installation: Installation, receiver: Receiver, path: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    browser = Browser(f"http://{place}{path}")
    ini = installation.file("uwsgi/uwsgi.ini", ("mount = /=", f"mount = {path or '/'}="))
    command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--ini", str(ini), "--http", place]
    command += ["--add-header", "Connection: close"]  # uWSGI would close the connection without a word
    with (
        installation.book(browser.base_url, receiver.url("/")) as installed,
        browser.session,
        installation.started(*command) as server,
    ):
        wait_for(browser.home, 60, server.output)
        visit.whole(browser, installed, receiver)


def test_the_file_for_pythonanywhere_serves_the_book_without_threads(
    installation: Installation, receiver: Receiver
) -> None:
    place = f"127.0.0.1:{free_port()}"
    browser = Browser(f"http://{place}")
    file = installation.file("pythonanywhere/wsgi.py", ("/home/you/guestbook", str(installation.checkout)))
    settings = {"TRUSTED_PROXIES": "0"}
    program = str(installation.checkout / ".venv/bin/gunicorn")
    options = ["--workers", "1", "--bind", place, "--chdir", str(file.parent), "wsgi:application"]
    with (
        installation.book(browser.base_url, receiver.url("/"), **settings) as installed,
        browser.session,
        installation.started(program, *options) as server,
    ):
        wait_for(browser.home, 60, server.output)
        visit.whole(browser, installed, receiver)
