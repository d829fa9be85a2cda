"""The commands that are alike for several nouns: enable, disable, rotate, delete, revoke, and questions."""

from typing import Any

import pytest

from guestbook.lib import clock
from tests.cli.conftest import Shell, Terminal
from tests.support import factories

URL = "https://receiver.example/hook"
ADD = {"webhooks": ("add", URL), "sources": ("add", "Robot", "--verify", "github")}
OLD = {"webhooks": "signs", "sources": "is accepted"}
ADD_ONE = "yet. Add one: flask --app guestbook"
EMPTY = {
    ("webhooks", "list"): f"No webhooks {ADD_ONE} webhooks add URL",
    ("sources", "list"): f"No sources {ADD_ONE} sources add NAME --verify github",
    ("tokens", "list"): f"No tokens {ADD_ONE} tokens add NAME",
    ("receiver-links", "list", "Shop"): f"No links {ADD_ONE} receiver-links add WEBHOOK",
    ("comments", "list"): "No comments yet.",
    ("audit",): "No entries yet.",
}
GIVEN = "It's a Secret to Everybody"


@pytest.fixture(params=ADD)
def noun(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def row(shell: Shell, noun: str) -> dict[str, Any]:
    added: dict[str, Any] = shell.json(noun, *ADD[noun])
    return added


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_empty_list_says_what_to_do(shell: Shell, words: tuple[str, ...]) -> None:
    if "Shop" in words:
        factories.webhook(name="Shop")
    assert shell(*words) == f"{EMPTY[words]}\n"
    assert shell.json(*words) == []


def test_disable_and_enable(shell: Shell, noun: str, row: dict[str, Any]) -> None:
    word, key = noun[:-1], row["id"]
    assert shell(noun, "disable", key[:31]) == f"Disabled {word} {key}.\n"
    assert " disabled " in shell(noun, "list")
    assert shell.json(noun, "show", key)["disabled_at"]
    assert shell(noun, "enable", key) == f"Enabled {word} {key}.\n"
    assert shell.json(noun, "enable", key)["disabled_at"] is None


def test_rotate_prints_the_new_secret_and_until_when_the_old_one_counts(
    shell: Shell, noun: str, row: dict[str, Any]
) -> None:
    said = shell(noun, "rotate-secret", row["id"])
    after = shell.json(noun, "show", row["id"], "--secret")
    assert said == (
        f"The new secret: {after['secret']}\n"
        f"The old one {OLD[noun]} beside it until {after['previous_secret_expires_at']}.\n"
    )
    assert after["previous_secret"] == row["secret"] != after["secret"]
    hours = (clock.from_text(after["previous_secret_expires_at"]) - clock.now()).total_seconds() / 3600
    assert 23.9 < hours <= 24


def test_rotate_takes_a_secret_and_may_end_the_old_one(shell: Shell, noun: str, row: dict[str, Any]) -> None:
    said = shell(noun, "rotate-secret", row["id"], "--secret", GIVEN, "--overlap-hours", "0")
    assert said == f"The new secret is set.\nThe old one {OLD[noun]} no more.\n"
    assert "secret" not in shell.json(noun, "show", row["id"])
    assert shell.json(noun, "show", row["id"], "--secret")["secret"] == GIVEN
    assert "already" in shell.refused(noun, "rotate-secret", row["id"], "--secret", GIVEN)
    assert "secret" in shell.json(noun, "rotate-secret", row["id"], "--overlap-hours", "1")
    for hours in ("-1", "nan", "inf"):
        said = shell.refused(noun, "rotate-secret", row["id"], "--overlap-hours", hours, code=2)
        assert "Invalid value for '--overlap-hours'" in said


def test_delete_says_how_much_went(shell: Shell, noun: str, row: dict[str, Any]) -> None:
    add = factories.delivery if noun == "webhooks" else factories.inbound
    one, many = {"webhooks": ("delivery", "deliveries"), "sources": ("event", "events")}[noun]
    _, first, *more = ADD[noun]
    second = shell.json(noun, "add", f"{first}2", *more)
    add(row["id"])
    for deleted, number in ((second, f"0 {many}"), (row, f"1 {one}")):
        said = shell(noun, "delete", deleted["id"][:31])
        assert said == f"Deleted {noun[:-1]} {deleted['id']} and {number}.\n"
    assert shell.json(noun, "list") == factories.deliveries() == factories.inbound_events() == []


@pytest.mark.parametrize("key", ["", "%", "'", "a_b", "a" * 33, "é", "\x1b[31m", "../x"])
def test_what_is_no_id_is_refused_by_every_command(shell: Shell, noun: str, key: str) -> None:
    for command in ("show", "enable", "disable", "test", "delete", "rotate-secret"):
        said = shell.refused(noun, command, "--", key)
        assert said == f"Error: No {noun[:-1]} has the id or the name {key!r}.\n"


@pytest.mark.parametrize(("noun", "word"), [("tokens", "token"), ("receiver-links", "link")])
def test_revoke_takes_an_id_or_a_name(shell: Shell, noun: str, word: str) -> None:
    before = () if noun == "tokens" else (factories.webhook(name="Shop"), "--name")
    first, second = (shell.json(noun, "add", *before, name)["id"] for name in ("Ada", "Bob"))
    assert shell(noun, "revoke", first[:31]) == f"Revoked {word} {first}.\n"
    assert shell.json(noun, "revoke", "Bob") == {"revoked": [second]}
    model = "token" if noun == "tokens" else "receiver link"
    for key in ("", "%", "a" * 33, "é", "../x"):
        said = shell.refused(noun, "revoke", "--", key)
        assert said == f"Error: No {model} has the id or the name {key!r}.\n"


NAMES = {"bins": "Mine", "tokens": "Shop"}
DELETING = [
    (("webhooks", "delete"), "3 waiting and 2 old deliveries go with the webhook Chat. Delete?"),
    (("sources", "delete"), "1 waiting event goes with the source Forge. Delete?"),
    (("comments", "delete"), "Ada: Hello [31mthere\r\n1 comment goes for good, with 1 reply. Delete?"),
    (("bins", "delete"), "The bin Mine has 0 requests. Delete?"),
    (("tokens", "revoke"), "The token Shop was never used. Revoke?"),
]


@pytest.fixture
def row_ids(shell: Shell) -> dict[str, str]:
    """The id of a row of each noun."""
    comment = factories.sign("Hello \x1b[31mthere")
    shell("comments", "reply", comment, "Welcome")
    hook, source = factories.webhook(name="Chat"), factories.source(name="Forge")
    for status in ("new", "new", "new", "failed", "processed"):
        factories.delivery(hook, status=status)
    factories.inbound(source)
    ids = {"webhooks": hook, "sources": source, "comments": comment}
    return ids | {noun: shell.json(noun, "add", NAMES[noun])["id"] for noun in NAMES}


@pytest.mark.parametrize(("command", "question"), DELETING)
def test_a_terminal_is_told_what_goes_and_asked(
    row_ids: dict[str, str], shell: Shell, terminal: Terminal, command: tuple[str, str], question: str
) -> None:
    noun, row_id = command[0], row_ids[command[0]]
    code, said = terminal(*command, row_id, typed="n\n")
    assert (code, f"{question} [y/N]: " in said, "Error: Nothing was changed." in said) == (1, True, True), (
        said
    )
    assert ("\x1b" in said, len(shell.json(noun, "list"))) == (False, 1)
    code, said = terminal(*command, row_id, typed="y\n")
    assert (code, shell.json(noun, "list")) == (0, []), said


def test_yes_answers_and_no_script_is_asked(
    row_ids: dict[str, str], shell: Shell, terminal: Terminal
) -> None:
    code, said = terminal("webhooks", "delete", row_ids["webhooks"], "--yes")
    assert (code, "?" in said, shell.json("webhooks", "list")) == (0, False, []), said
    for (noun, verb), _ in DELETING[1:]:
        gone = shell.json(noun, verb, row_ids[noun])
        assert gone["revoked" if verb == "revoke" else "deleted"] == [row_ids[noun]]
