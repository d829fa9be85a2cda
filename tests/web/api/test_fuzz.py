"""Schemathesis reads the document, asks all that it allows and much that it does not: it finds nothing."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import waitress

from tests import stock
from tests.conftest import run, running
from tests.web.api.program import new_token
from tests.web.visitor import let_write

EXAMPLES = 2  # of each kind for each call; some thousand take minutes
COMMAND = (str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run")
OPTIONS = ("--max-examples", str(EXAMPLES), "--generation-deterministic", "--mode", "all")
# What a template has to give, and what a chat format needs of a URL, no schema can say: there 422 is right.
CONFIG = "\n".join(
    f"""
[[operations]]
include-name = "{call}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]
"""
    for call in ("POST /webhooks", "PATCH /webhooks/{webhook_id}")
)


@pytest.fixture
def served(environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Give the address of a book on a real server, and a token."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with running(environ | {"GUESTBOOK_BASE_URL": address}) as app:
            let_write(app)
            with app.app_context():
                stock.inbound(stock.source(), status="failed", error="The body is not UTF-8.")
            server = waitress.create_server(app, sockets=[listening], threads=2)
            thread = threading.Thread(target=server.run)
            thread.start()
            yield address, new_token(app)
            server.trigger.pull_trigger(server.close)
            thread.join(10)


def finds(folder: Path, address: str, *options: str) -> str:
    """Run it with all its checks, and return what it prints; nothing is to be found."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    tool = run(*COMMAND, f"{address}/api/v1/openapi.json", *OPTIONS, *options, cwd=folder)
    assert tool.returncode == 0, tool.stdout + tool.stderr
    return tool.stdout


def test_with_a_token(served: tuple[str, str], tmp_path: Path) -> None:
    address, token = served
    printed = finds(tmp_path, address, "-H", f"Authorization: Bearer {token}")
    assert "Tested: 18" in printed


def test_without_one(served: tuple[str, str], tmp_path: Path) -> None:
    printed = finds(tmp_path, served[0], "--phases", "coverage", "--include-path", "/comments")
    assert "Tested: 2" in printed
