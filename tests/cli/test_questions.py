"""On a terminal, a command that deletes says what goes and asks; a script is not asked."""

import pytest

from tests.cli.conftest import Shell, Terminal
from tests.support import factories

DELETING = [
    (
        ("webhooks", "delete"),
        "3 waiting deliveries and 2 old ones go with the webhook Chat. Delete? [y/N]: ",
    ),
    (("sources", "delete"), "1 waiting event goes with the source Forge. Delete? [y/N]: "),
    (
        ("comments", "delete"),
        "Ada: Hello [31mthere\r\n1 comment goes for good, with 1 reply. Delete? [y/N]: ",
    ),
    (("bins", "delete"), "The bin Mine has 0 requests. Delete? [y/N]: "),
    (("tokens", "revoke"), "The token Shop was never used. Revoke? [y/N]: "),
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
    added = {
        noun: shell.json(noun, "add", name)["id"] for noun, name in (("bins", "Mine"), ("tokens", "Shop"))
    }
    return {"webhooks": hook, "sources": source, "comments": comment, **added}


@pytest.mark.parametrize(("command", "question"), DELETING)
def test_a_terminal_is_told_what_goes_and_asked(
    row_ids: dict[str, str], shell: Shell, terminal: Terminal, command: tuple[str, str], question: str
) -> None:
    noun, row_id = command[0], row_ids[command[0]]
    code, said = terminal(*command, row_id, typed="n\n")
    assert (code, question in said, "Error: Nothing was changed." in said) == (1, True, True), said
    assert ("\x1b" in said, len(shell.json(noun, "list"))) == (False, 1)
    code, said = terminal(*command, row_id, typed="y\n")
    assert (code, shell.json(noun, "list")) == (0, []), said


def test_yes_answers_and_a_script_is_not_asked(
    row_ids: dict[str, str], shell: Shell, terminal: Terminal
) -> None:
    code, said = terminal("webhooks", "delete", row_ids["webhooks"], "--yes")
    assert (code, "?" in said, shell.json("webhooks", "list")) == (0, False, []), said
    for (noun, verb), _ in DELETING[1:]:
        gone = shell.json(noun, verb, row_ids[noun])
        assert gone["revoked" if verb == "revoke" else "deleted"] == [row_ids[noun]]
