"""Secrets come on standard input where `-` stands for them, so that no list of processes shows them."""

import json

import pytest

from guestbook.storage.database import db
from tests.cli.conftest import Shell, Terminal

URL = "https://receiver.example/hook"
ADD = ("sources", "add", "Feed", "--verify", "token")


def piped(shell: Shell, sent: str | bytes, *arguments: str) -> tuple[int, str, str]:
    db.session.remove()
    result = shell.runner.invoke(args=list(arguments), input=sent)
    db.session.remove()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


def secret_of(shell: Shell, kind: str) -> dict[str, object]:
    [row] = shell.json(kind, "list")
    shown: dict[str, object] = shell.json(kind, "show", row["id"], "--secret")
    return shown


@pytest.mark.parametrize("sent", ["s3cret word\n", "s3cret word", "s3cret word\r\nand more\n"])
def test_the_secret_of_a_source_is_read_from_standard_input(shell: Shell, sent: str) -> None:
    code, _, said = piped(shell, sent, *ADD, "--secret", "-")
    assert (code, said) == (0, "")
    row = secret_of(shell, "sources")
    assert row["secret"] == "s3cret word"
    for command in ("update", "rotate-secret"):
        given = ("sources", command, str(row["id"]), "--secret", "-")
        assert piped(shell, f"for {command}\n", *given)[0] == 0
        assert secret_of(shell, "sources")["secret"] == f"for {command}"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_secret_that_was_given_is_not_printed_again(shell: Shell, form: tuple[str, ...]) -> None:
    for kind, add in (("sources", ADD), ("webhooks", ("webhooks", "add", URL))):
        given = "geheim und lang genug"
        assert given not in piped(shell, f"{given}\n", *add, "--secret", "-", *form)[1]
        row_id = str(secret_of(shell, kind)["id"])
        for command in ("update", "rotate-secret")[kind == "webhooks" :]:
            given = f"geheim for {command}"
            code, said, _ = piped(shell, given, kind, command, row_id, "--secret", "-", *form)
            assert (code, given in said) == (0, False)
            assert secret_of(shell, kind)["secret"] == given


def test_the_url_is_the_first_line_wherever_the_secret_is_named(shell: Shell) -> None:
    sent = f"{URL}\ngeheim und lang genug\n"
    for arguments in (("-", "--secret", "-"), ("--secret", "-", "-")):
        assert piped(shell, sent, "webhooks", "add", *arguments)[0] == 0
        row = secret_of(shell, "webhooks")
        assert (row["url"], row["secret"]) == (URL, "geheim und lang genug")
        assert piped(shell, URL + "/2\n", "webhooks", "update", str(row["id"]), "--url", "-")[0] == 0
        assert secret_of(shell, "webhooks")["url"] == URL + "/2"
        shell("webhooks", "delete", str(row["id"]))


def test_a_header_s_value_is_read_from_standard_input_a_line_each(shell: Shell) -> None:
    headers = ("--header", "Authorization: -", "--header", "X-Team: a", "--header", "X-Key:-")
    assert piped(shell, "Bearer geheim\nk1\n", "webhooks", "add", URL, *headers)[0] == 0
    row = secret_of(shell, "webhooks")
    assert row["headers"] == {"Authorization": "Bearer geheim", "X-Team": "a", "X-Key": "k1"}
    change = ("webhooks", "update", str(row["id"]), "--header", "Authorization: -")
    assert piped(shell, "Bearer neu\n", *change)[0] == 0
    assert secret_of(shell, "webhooks")["headers"] == {"Authorization": "Bearer neu"}


def test_a_lone_dash_stands_for_all_headers_on_standard_input(shell: Shell) -> None:
    sent = "Authorization: Bearer geheim\n\nX-Key: k1\n"
    code, said, _ = piped(shell, sent, "webhooks", "add", URL, "--header", "-", "--json")
    assert code == 0
    assert json.loads(said)["headers"] == {"Authorization": "(hidden)", "X-Key": "(hidden)"}
    assert secret_of(shell, "webhooks")["headers"] == {"Authorization": "Bearer geheim", "X-Key": "k1"}


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ("", "Standard input is empty."),
        ("\n", "Standard input is empty."),
        (b"\xff\n", "Standard input is not UTF-8."),
        ("x" * 5000, "A line on standard input is longer than 4,096 bytes."),
    ],
)
def test_what_is_no_secret_is_refused_in_one_sentence(shell: Shell, sent: str | bytes, sentence: str) -> None:
    header = ("webhooks", "add", URL, "--header")
    for arguments in ((*ADD, "--secret", "-"), (*header, "-"), (*header, "X: -")):
        assert piped(shell, sent, *arguments) == (1, "", f"Error: {sentence}\n")
    assert shell.json("sources", "list") == shell.json("webhooks", "list") == []


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_secret_is_refused_and_nothing_changes(shell: Shell, empty: str) -> None:
    shell(*ADD)
    shell("webhooks", "add", URL, "--sign-with", "both", "--name", "Receiver")
    before = secret_of(shell, "sources"), secret_of(shell, "webhooks")
    for arguments in (
        ("webhooks", "add", URL, "--secret"),
        ("webhooks", "add", URL, "--signing-key"),
        ("webhooks", "update", "Receiver", "--signing-key"),
        ("webhooks", "rotate-secret", "Receiver", "--secret"),
        ("webhooks", "rotate-key", "Receiver", "--signing-key"),
        ("sources", "add", "Other", "--verify", "github", "--secret"),
        ("sources", "add", "Other", "--preset", "gitea", "--secret"),
        ("sources", "update", "Feed", "--secret"),
        ("sources", "rotate-secret", "Feed", "--secret"),
    ):
        what = "signing key" if arguments[-1] == "--signing-key" else "secret"
        depends_on_row = arguments[0] == "sources" and arguments[1] != "add"
        assert f"The {what} must " in shell.refused(*arguments, empty, code=1 if depends_on_row else 2)
    without = ("sources", "add", "Other", "--verify", "none", "--secret", empty)
    assert "A source that verifies nothing has no secret." in shell.refused(*without, code=2)
    assert (secret_of(shell, "sources"), secret_of(shell, "webhooks")) == before


def test_a_terminal_is_asked_and_shows_nothing_of_a_secret(terminal: Terminal) -> None:
    _, said = terminal("migrate-to", "-", typed="mysql://root:geheim@host/book\n")
    assert said.startswith("Url: ")
    assert "it must begin with mysql+pymysql://" in said
    assert "geheim" not in said
