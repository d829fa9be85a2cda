"""The how-to guides: commands and templates do their work on a book, and a guide for a host says what ran."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import current_app

from guestbook.lib import signatures, template_sandbox
from guestbook.outbound.event_catalogue import EVENTS
from tests.repo.test_documents import CALL
from tests.support import comment_files, factories
from tests.support.documents import DOCS, blocks, read
from tests.support.processes import ROOT

GUIDES = sorted((DOCS / "howto").glob("*.md"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A server, a broker or another database: they have tests of their own. Of these tests a setting has the key,
# and the exit code of doctor is that of the book.
ELSEWHERE = ("run", "serve", "relay", "migrate-to", "restore", "listen", "doctor")
ELSEWHERE += ("encrypt-secrets --new-key", "webhooks check")


FOR_HOSTS = [page for page in GUIDES if page.stem.startswith("run-") and page.stem != "run-the-tests"]
STATUS = re.compile(r"\*(Run in our tests|Not run by us)[.:]\*")


def calls(page: Path) -> list[list[str]]:
    """What a guide tells you to type to us, in its order."""
    text = "\n".join(blocks(page.read_text(), "sh")).replace("\\\n", " ")
    found = (CALL.search(line) for line in text.splitlines())
    return [shlex.split(one[1]) for one in found if one and not one[1].startswith(ELSEWHERE)]


@pytest.mark.parametrize("page", [page for page in GUIDES if calls(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_guide_work(page: Path, runner: Any, tmp_path: Path, monkeypatch: Any) -> None:
    comment_files.write_samples(tmp_path)
    mail = {"smtp_url": "smtp://127.0.0.1", "mail_from": "book@example.org"}
    current_app.config["GUESTBOOK"] = replace(factories.settings(), **mail)
    monkeypatch.chdir(tmp_path)
    for name in ("Chat", "Shop", "Harbour"):
        factories.webhook(name=name)
        if f"sources add {name}" not in page.read_text():
            by_token = {"verify": "token", "secret": "secret"}
            factories.source(name=name, action="comment", template="{{ payload }}", **by_token)
    comment_id = factories.sign()
    for words in calls(page):
        typed = [comment_id if word == "01…" else word for word in words]
        line = signatures.new_key() if "--signing-key" in words else SECRET
        done = runner.invoke(args=typed, input=f"{line}\n" * 2)
        assert done.exit_code == 0, (words, done.output)


def test_the_templates_of_the_guide_work() -> None:
    first, second, body = blocks(read("howto/write-a-template"), "jinja")
    payload = {"customer": "Ada", "shop_url": "https://ada.example", "text": "It works!"}
    paid = {"event": "order", "action": "paid", "payload": payload}
    made = template_sandbox.render(first, paid)
    assert made.text.strip() == "It works!"
    assert made.names == {"name": "Ada", "website": "https://ada.example"}
    assert template_sandbox.render(second, paid).text == "It works!"
    assert template_sandbox.render(second, {**paid, "action": "refunded"}).text == ""
    data = EVENTS["comment.created"].sample_data()
    said = json.loads(template_sandbox.render(body, data).text)
    assert said["text"].startswith(data["comment"]["name"] + " wrote: ")


@pytest.mark.parametrize("page", FOR_HOSTS, ids=lambda page: page.stem)
def test_a_guide_for_a_host_says_first_what_was_run_and_a_test_that_runs_it_names_it(page: Path) -> None:
    beginning = page.read_text().split("\n## ")[0].split("\n```")[0]
    said = STATUS.findall(beginning)
    assert said, "Begin a paragraph with *Run in our tests:* or *Not run by us:*"
    if "Run in our tests" in said:
        names = (page.stem, page.stem.replace("-", "_"))
        tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
        assert any(name in test.read_text() for test in tests for name in names)
