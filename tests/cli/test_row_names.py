"""Parts of ids, and names: what a list prints finds its row, and never another one."""

import re

import pytest

from guestbook.cli import output, row_commands
from guestbook.lib import ids
from guestbook.storage.models import Bin, Delivery, Webhook
from guestbook.transport.urls import EVERY_NETWORK
from tests.cli.conftest import Shell
from tests.support import factories

END = "b0b1b2"


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)


def row_id(start: str, end: str) -> str:
    return start + "0" * (32 - len(start) - len(end)) + end


def test_the_end_that_a_list_prints_finds_its_row(shell: Shell) -> None:
    hook = factories.webhook()
    rows = [factories.delivery(hook) for _ in range(30)]
    rows += [factories.delivery(hook, id=row_id("01", end + END)) for end in "12"]
    parts = row_commands.shown_ids(Delivery, rows)
    assert {len(part) for part in parts.values()} == {7}
    for whole, part in parts.items():
        assert shell.json("deliveries", "show", part)["id"] == whole
    assert "fits more than one delivery" in shell.refused("deliveries", "show", END)
    assert shell.refused("deliveries", "show", rows[0][-5:]).startswith("Error: No delivery has the id")


def test_an_end_that_is_a_name_or_a_beginning_too_is_refused(shell: Shell) -> None:
    ending = factories.webhook(id=row_id("01", END))
    named = factories.webhook(id=row_id("02", "c0c1c2"), name=END)
    begun = factories.webhook(id=row_id(END, "d0d1d2"))
    said = shell.refused("webhooks", "delete", END)
    assert all(row in said for row in (ending, named, begun))
    assert row_commands.shown_ids(Webhook, [named])[named] == "c0c1c2"


def test_a_name_that_is_the_beginning_of_another_id_is_refused(shell: Shell) -> None:
    begun = factories.webhook(id=row_id("01", END))
    named = factories.webhook(id=row_id("02", END), name="01")
    factories.webhook(id=row_id("03", END), name=begun)
    said = shell.refused("webhooks", "delete", "01", "--yes")
    assert said.startswith(f"Error: 01 fits more than one webhook: {named} (01), {begun}")
    assert shell.json("webhooks", "show", "02")["id"] == named
    assert shell.json("webhooks", "show", begun)["id"] == begun
    factories.webhook(id=row_id("04", END), name="04")
    assert shell.json("webhooks", "show", "04")["id"] == row_id("04", END)


def test_an_end_is_looked_for_among_the_newest_rows(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = factories.webhook()
    old, new = factories.delivery(hook), factories.delivery(hook)
    monkeypatch.setattr(row_commands, "MOST_ENDS", 1)
    assert row_commands.shown_ids(Delivery, [old, new]) == {old: old, new: new[-6:]}
    assert shell.json("deliveries", "show", new[-6:])["id"] == new
    assert "No delivery has the id" in shell.refused("deliveries", "show", old[-6:])


def test_a_taken_name_is_refused_and_an_older_book_with_two_says_so(shell: Shell) -> None:
    sentence = "Choose one that says which is which."
    hook = f"webhooks add {URL} --name Twice"
    for words in (hook, "sources add Twice --verify none", "tokens add Twice", "bins add Twice"):
        shell(*words.split())
        noun = words.split("s ")[0]
        assert shell.refused(*words.split()) == f"Error: Another {noun} has this name. {sentence}\n"
    older = factories.written(lambda session: session.merge(Bin(id=ids.new(), name="Twice", token="t")).id)
    assert "Twice fits more than one bin" in shell.refused("bins", "show", "Twice")
    assert shell.json("bins", "show", older[-6:])["name"] == "Twice"


def test_names_that_nobody_chose_are_numbered(shell: Shell) -> None:
    names = [shell.json("webhooks", "add", "https://receiver.example/hook")["name"] for _ in range(3)]
    assert names == ["receiver.example", "receiver.example/hook", "receiver.example/hook 2"]
    assert shell.json("webhooks", "update", names[1], "--name", names[1])["name"] == names[1]
    assert "Another webhook" in shell.refused("webhooks", "update", names[1], "--name", names[0])


@pytest.mark.parametrize(("urls", "names"), [
    (["http://127.0.0.1:9001/a", "http://127.0.0.1:9002/a"], ["127.0.0.1:9001", "127.0.0.1:9002"]),
    (["https://a.example/", "https://a.example/crm-import/v2/"], ["a.example", "a.example/crm-import/v2"]),
    (["https://a.example/hook/5f3a1b2c9d"] * 2, ["a.example", "a.example 2"]),
    (["https://hooks.slack.com/services/T0/B0/abc"] * 2, ["hooks.slack.com", "hooks.slack.com 2"]),
    (["https://ntfy.sh/garden"] * 2, ["ntfy.sh", "ntfy.sh 2"]),
    (["pull:", "pull:"], ["Listener", "Listener 2"]),
])  # fmt: skip
def test_a_default_name_has_the_port_and_the_path_but_no_secret(
    shell: Shell, urls: list[str], names: list[str]
) -> None:
    factories.change_settings(allow_networks=EVERY_NETWORK)
    assert [shell.json("webhooks", "add", url)["name"] for url in urls] == names


URL = "https://receiver.example/hook"


def test_a_name_stands_for_the_id_of_what_the_owner_has_named(shell: Shell) -> None:
    hook = shell.json("webhooks", "add", URL, "--name", "Team chat")["id"]
    source = shell.json("sources", "add", "My repo", "--verify", "github")["id"]
    bin_id = shell.json("bins", "add", "Catch all")["id"]
    token = shell.json("tokens", "add", "Backup")["id"]
    for noun, name, row_id in (
        *(("webhooks", "Team chat", hook), ("webhooks", "  Team  chat ", hook)),
        *(("sources", "My repo", source), ("bins", "Catch all", bin_id)),
    ):
        assert shell.json(noun, "show", name)["id"] == row_id
    assert shell("webhooks", "disable", "Team chat") == f"Disabled webhook {hook}.\n"
    assert shell("tokens", "revoke", "Backup") == f"Revoked token {token}.\n"
    factories.delivery(hook, status="failed")
    assert len(shell.json("deliveries", "list", "--webhook", "Team chat")) == 1
    assert "1 delivery" in shell("deliveries", "redeliver", "--failed", "--webhook", "Team chat", "--dry-run")
    assert shell.json("inbox", "list", "--source", "My repo") == []


def test_a_name_that_several_have_is_refused_with_their_ids(shell: Shell) -> None:
    ids = [factories.webhook(id=letter * 32, name="Chat") for letter in "abc"]
    candidates = ", ".join(f"{one} (Chat)" for one in ids)
    several = f"Error: Chat fits more than one webhook: {candidates}. Give more of the id.\n"
    assert shell.refused("webhooks", "delete", "Chat") == several
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
