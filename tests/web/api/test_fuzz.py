"""Schemathesis reads the document, asks all that it allows and much that it does not: it finds nothing."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from guestbook.web.api import queue
from guestbook.web.api.openapi import CALLS
from tests.conftest import run

EXAMPLES = 1  # of each kind for each call; some thousand take minutes
COMMAND = (str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run")
OPTIONS = ("--max-examples", str(EXAMPLES), "--generation-deterministic", "--mode", "all")
ONE_BY_ONE = "examples,coverage,fuzzing"
# What can be seen, may be sent to, is given by a template, signs already, or is a sample or a past event for
# this row, no schema can say, nor which key of a request was used before: there 422 is right. Nor can it say
# which version has which ETag: there 412 is right. Nor what is the address of a page.
UNPREDICTABLE = [address for address, call in CALLS.items() if call.may_match or address.startswith("POST ")]
UNPREDICTABLE.append("GET /comments")
# All others are refused alike: test_document.py shows that each method that is served is in the document.
METHODS = """
[phases.coverage]
unexpected-methods = ["PUT", "TRACE"]
"""
MAY_FAIL = """
[[operations]]
include-name = "{}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "404", "409", "412", "422"]
"""
OFF = """
[[operations]]
include-name = "{}"
enabled = false
"""
# It would revoke its own token, and doctor takes long. Where too much was sent or typed it would wait for
# minutes: after wrong passwords, and after it has set a low limit for comments.
LEFT_OUT = (
    *("DELETE /tokens/{token_id}", "GET /doctor", "PATCH /settings"),
    *("POST /webhooks/{webhook_id}/reveal-secret", "POST /sources/{source_id}/reveal-secret"),
)


@pytest.fixture(autouse=True)
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries lists as long as they may be, and takes seconds to make five hundred different ids."""
    for schema in (queue.calls.schemas["Redelivery"], queue.calls.schemas["Reprocessing"]):
        monkeypatch.setitem(schema["properties"]["ids"], "maxItems", 10)


def finds(folder: Path, address: str, *options: str, left_out: Sequence[str] = LEFT_OUT) -> str:
    """Run it with all its checks, and return what it prints; nothing is to be found."""
    parts = [METHODS]
    parts += [MAY_FAIL.format(call) for call in UNPREDICTABLE if call not in left_out]
    parts += [OFF.format(call) for call in left_out]
    (folder / "schemathesis.toml").write_text("".join(parts))
    tool = run(*COMMAND, f"{address}/api/v1/openapi.json", *OPTIONS, *options, cwd=folder)
    assert tool.returncode == 0, tool.stdout + tool.stderr
    return tool.stdout


def test_with_a_token(served: tuple[str, str], tmp_path: Path) -> None:
    address, token = served
    printed = finds(tmp_path, address, "-H", f"Authorization: Bearer {token}", "--phases", ONE_BY_ONE)
    tested = len(CALLS) - 1 - len(LEFT_OUT)  # it leaves out the document that it reads, too
    assert f"Tested: {tested}" in printed


def test_along_the_links(served: tuple[str, str], tmp_path: Path) -> None:
    address, token = served
    of_bins = ("--include-path-regex", "^/(bins|comments)", "--phases", "stateful")
    emptied = "DELETE /bins/{bin_id}/requests"  # the list that it empties stays
    options = ("-H", f"Authorization: Bearer {token}", *of_bins)
    printed = finds(tmp_path, address, *options, left_out=(*LEFT_OUT, emptied))
    assert re.search("API Links: +[1-9][0-9]* covered", printed), printed


def test_without_one(served: tuple[str, str], tmp_path: Path) -> None:
    printed = finds(tmp_path, served[0], "--phases", "coverage", "--include-path", "/comments")
    assert "Tested: 2" in printed


def test_the_settings_on_their_own(served: tuple[str, str], tmp_path: Path) -> None:
    address, token = served
    options = ("-H", f"Authorization: Bearer {token}", "--include-path", "/settings", "--phases", ONE_BY_ONE)
    assert "Tested: 2" in finds(tmp_path, address, *options, left_out=())
