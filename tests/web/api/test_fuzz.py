"""Schemathesis reads the document, asks all that it allows and much that it does not: it finds nothing."""

import sys
from pathlib import Path

from guestbook.web.api.call_table import CALLS
from tests.conftest import run

EXAMPLES = 2  # of each kind for each call; some thousand take minutes
COMMAND = (str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run")
OPTIONS = ("--max-examples", str(EXAMPLES), "--generation-deterministic", "--mode", "all")
# What can be seen, may be sent to, is given by a template or signs already, no schema can say: there 422 is
# right. Nor can
# it say which comment has which ETag: there 412 is right.
CONFIG = "\n".join(
    f"""
[[operations]]
include-name = "{call}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "412", "422"]
"""
    for call in (
        *("POST /webhooks", "PATCH /webhooks/{webhook_id}"),
        *("POST /webhooks/{webhook_id}/rotate-secret", "POST /webhooks/{webhook_id}/rotate-key"),
        *("POST /comments", "PATCH /comments/{comment_id}", "DELETE /comments/{comment_id}"),
    )
)


def finds(folder: Path, address: str, *options: str) -> str:
    """Run it with all its checks, and return what it prints; nothing is to be found."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    tool = run(*COMMAND, f"{address}/api/v1/openapi.json", *OPTIONS, *options, cwd=folder)
    assert tool.returncode == 0, tool.stdout + tool.stderr
    return tool.stdout


def test_with_a_token(served: tuple[str, str], tmp_path: Path) -> None:
    address, token = served
    printed = finds(tmp_path, address, "-H", f"Authorization: Bearer {token}")
    tested = len(CALLS) - 1  # it leaves out the document that it reads
    assert f"Tested: {tested}" in printed


def test_without_one(served: tuple[str, str], tmp_path: Path) -> None:
    printed = finds(tmp_path, served[0], "--phases", "coverage", "--include-path", "/comments")
    assert "Tested: 2" in printed
