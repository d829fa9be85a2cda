"""Where a command takes an id, the name of a webhook, a source, a bin or a token will do."""

import re

import pytest

from tests.cli.conftest import Shell
from tests.support import factories

URL = "https://receiver.example/hook"


def test_a_name_stands_for_the_id_of_what_the_owner_has_named(shell: Shell) -> None:
    hook = shell.json("webhooks", "add", URL, "--name", "Team chat")["id"]
    source = shell.json("sources", "add", "My repo", "--verify", "github")["id"]
    bin_id = shell.json("bins", "add", "Catch all")["id"]
    token = shell.json("tokens", "add", "Backup")["id"]
    assert shell.json("webhooks", "show", "Team chat")["id"] == hook
    assert shell.json("webhooks", "show", "  Team  chat ")["id"] == hook
    assert shell.json("sources", "show", "My repo")["id"] == source
    assert shell.json("bins", "show", "Catch all")["id"] == bin_id
    assert shell("webhooks", "disable", "Team chat") == f"Disabled webhook {hook}.\n"
    assert shell("tokens", "revoke", "Backup") == f"Revoked token {token}.\n"
    factories.delivery(hook, status="failed")
    assert len(shell.json("deliveries", "list", "--webhook", "Team chat")) == 1
    assert "1 delivery" in shell("deliveries", "redeliver", "--failed", "--webhook", "Team chat", "--dry-run")
    assert shell.json("inbox", "list", "--source", "My repo") == []


def test_a_name_and_the_beginnings_of_other_ids_are_refused_together(shell: Shell) -> None:
    for start in ("aaa1", "aaa2"):
        factories.webhook(id=start + "0" * 28)
    named = factories.webhook(id="b" * 32, name="aaa")
    said = shell.refused("webhooks", "delete", "aaa", "--yes")
    assert said.startswith(f"Error: aaa fits more than one webhook: {named} (aaa), aaa1")
    assert shell.json("webhooks", "show", "bb")["id"] == named


def test_a_name_that_several_have_is_refused_with_their_ids(shell: Shell) -> None:
    ids = [factories.webhook(id=letter * 32, name="Chat") for letter in "abc"]
    candidates = ", ".join(f"{one} (Chat)" for one in ids)
    assert shell.refused("webhooks", "delete", "Chat") == (
        f"Error: Chat fits more than one webhook: {candidates}. Give more of the id.\n"
    )
    for letter in "def":
        factories.webhook(id=letter * 32, name="Chat")
    said = shell.refused("webhooks", "delete", "Chat")
    assert len(re.findall(r"[a-f]{32}", said)) == 5
    assert "and others." in said


def test_the_name_of_a_visitor_stands_for_no_comment(shell: Shell) -> None:
    factories.sign(name="Ada")
    for command in ("delete", "spam", "approve"):
        assert shell.refused("comments", command, "Ada") == "Error: No comment has the id Ada.\n"


@pytest.mark.parametrize("name", ["team chat", "Team", "Team cha", "x\0", "\ud800"])
def test_what_is_no_whole_name_is_refused(shell: Shell, name: str) -> None:
    shell("webhooks", "add", URL, "--name", "Team chat")
    assert "No webhook has the id or the name" in shell.refused("webhooks", "show", name)
