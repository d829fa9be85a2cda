"""uWSGI, and the WSGI file of PythonAnywhere."""

import sys

import pytest

from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.system.deploy import visit
from tests.system.deploy.installation import Installation


@pytest.mark.needs("uwsgi")
def test_uwsgi_serves_the_book(installation: Installation, receiver: Receiver, path: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    ini = installation.file("uwsgi/uwsgi.ini", ("mount = /=", f"mount = {path or '/'}="))
    command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--ini", str(ini), "--http", place]
    command += ["--add-header", "Connection: close"]  # uWSGI would close the connection without a word
    visit.whole(installation, f"http://{place}{path}", receiver, installation.started(*command))


def test_the_file_for_pythonanywhere_serves_the_book_without_threads(
    installation: Installation, receiver: Receiver
) -> None:
    place = f"127.0.0.1:{free_port()}"
    file = installation.file("pythonanywhere/wsgi.py", ("/home/you/guestbook", str(installation.checkout)))
    program = str(installation.checkout / ".venv/bin/gunicorn")
    options = ["--workers", "1", "--bind", place, "--chdir", str(file.parent), "wsgi:application"]
    server = installation.started(program, *options)
    visit.whole(installation, f"http://{place}", receiver, server, TRUSTED_PROXIES="0")
