"""Exit code 2: no book could accept this. Exit code 1: this book refuses it. And what was meant."""

import pytest

from tests.cli.conftest import FLASK, Shell
from tests.conftest import run
from tests.support import factories

URL = "https://receiver.example/hook"
ADD = ("webhooks", "add", URL)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((*ADD, "--format", "slak"), "Did you mean 'slack'?"),
        ((*ADD, "--event", "comment.creatd"), "Did you mean 'comment.created'?"),
        ((*ADD, "--event", "x"), "Choose one of: comment.created, "),
        (("sources", "add", "Forge", "--preset", "githb"), "Did you mean 'github'?"),
        (("deliveries", "list", "--status", "procesed"), "Did you mean 'processed'?"),
        (("webhooks", "add", "receiver.example"), "Did you mean https://receiver.example?"),
        (("webhooks", "add", "me@receiver.example"), "Did you mean mailto:me@receiver.example?"),
        ((*ADD, "--name", ""), "The name must have 1 to 80 characters."),
        ((*ADD, "--sign-with", "key", "--github-headers"), "sign with it or with both."),
        (("tokens", "add", "Shop", "--expires", "soon"), "'soon' is no time such as"),
        (("bins", "add", "--status", "99"), "The status must be a number from 200 to 599."),
        (("webhooks", "update", "one", "--rate", "0/m"), "The rate must be a number"),
        (("sources", "update", "Robot", "--name", ""), "The name must have 1 to 80 characters."),
    ],
)
def test_what_no_book_could_accept_ends_with_2(
    shell: Shell, arguments: tuple[str, ...], sentence: str
) -> None:
    factories.webhook()
    factories.source()
    said = shell.refused(*arguments, code=2)
    assert sentence in said
    assert "Error: " in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("webhooks", "add", "http://10.0.0.1/hook"),
        ("webhooks", "add", "http://10.0.0.1:22/hook"),
        ("webhooks", "add", "mailto:me@receiver.example"),
        ("webhooks", "update", "one", "--url", "mailto:me@receiver.example"),
        ("webhooks", "update", "one", "--header", "X-Key: (hidden)"),
        ("webhooks", "update", "one", "--format", "telegram"),
        ("webhooks", "show", "two"),
        (*ADD, "--name", "one"),
        ("sources", "update", "Robot", "--template", "Hello"),
        ("sources", "test", "Robot", "--event", "x"),
    ],
)
def test_what_this_book_alone_refuses_is_one_line_and_exit_code_1(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    factories.webhook()
    factories.source()
    said = shell.refused(*arguments)
    assert (said.startswith("Error: "), said.count("\n")) == (True, 1), said


def test_a_misspelt_command_is_named(environ: dict[str, str]) -> None:
    for command in ((FLASK, "--app", "guestbook"), (FLASK.removesuffix("flask") + "guestbook",)):
        done = run(*command, "webhook", env={"PATH": "/usr/bin:/bin", **environ})
        assert done.returncode == 2
        assert "No such command 'webhook'. Did you mean 'webhooks'?" in done.stderr
