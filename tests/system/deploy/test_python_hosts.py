"""uWSGI with its file of options; test_guides.py follows the guides for hosts that have it."""

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
