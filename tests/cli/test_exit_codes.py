"""Exit code 2: no book could accept this. Exit code 1: this book refuses it. And what was meant."""

import pytest

from tests.cli.conftest import FLASK, Shell
from tests.conftest import run
from tests.support import factories

URL = "https://receiver.example/hook"
ADD = ("webhooks", "add", URL)


SOURCE = ("sources", "add", "Shop", "--verify")
LINK = ("receiver-links", "add", "one")
TOKEN = ("tokens", "add", "Shop", "--expires")
NAME = "Error: The name must have 1 to 80 characters."
WRONG = [
    ((*ADD, "--format", "slak"), "Did you mean 'slack'?"),
    ((*ADD, "--event", "comment.creatd"), "Did you mean 'comment.created'?"),
    ((*ADD, "--event", "x"), "Choose one of: comment.created, "),
    ((*ADD, "--name", ""), NAME),
    ((*ADD, "--secret", "hunter2"), "Error: The secret must be whsec_ and the base64 of 24 to 64 bytes,"),
    ((*ADD, "--sign-with", "key", "--github-headers"), "sign with it or with both."),
    ((*ADD, "--sign-with", "rsa"), "Invalid value for '--sign-with'"),
    (("webhooks", "add", "https://acme.webhook.office.com/webhookb2/1"), "Error: Microsoft has retired this"),
    ((*ADD, "--template", "Hello"), "Error: For comment.created: The template does not give JSON: Expecting"),
    (("webhooks", "add", "receiver.example"), "Error: The URL must start with https:// or http://."),
    (("webhooks", "add", "receiver.example"), "Did you mean https://receiver.example?"),
    (("webhooks", "add", "me@receiver.example"), "Did you mean mailto:me@receiver.example?"),
    (("webhooks", "update", "one", "--rate", "0/m"), "The rate must be a number"),
    (("sources", "add", "Forge", "--preset", "githb"), "Did you mean 'github'?"),
    (("sources", "add", "", "--verify", "github"), NAME),
    (("sources", "update", "Robot", "--name", ""), NAME),
    ((*SOURCE, "stripe"), "Error: Paste the signing secret that Stripe shows"),
    (("deliveries", "list", "--status", "procesed"), "Did you mean 'processed'?"),
    ((*TOKEN, "soon"), "'soon' is no time such as 2026-01-31, 90m, 6h or 2d."),
    ((*TOKEN, "2020-01-31"), "A token must expire in the future, such as in 90d."),
    (("tokens", "add", "\u200b"), NAME),
    ((*LINK, "--expires", ""), "is no time such as"),
    ((*LINK, "--expires", "400d"), "A link may work for a year at most."),
    (("bins", "add", "--status", "99"), "The status must be a number from 200 to 599."),
]
USAGE = [
    *(("webhooks", "add"), (*ADD, "--format", "xml"), (*ADD, "--colour"), (*ADD, URL), ("webhooks", "paint")),
    *(("sources", "add"), ("sources", "add", "Shop"), (*SOURCE, "sha1")),
    *((*SOURCE, "none", "--action", "mail"), ("status", "--colour"), ("paint",)),
    *(("cron", "--max-seconds", "0"), ("cron", "--max-seconds", "soon"), ("cron", "--max-seconds", "nan")),
    *(("deliver", "--max-seconds", "inf"), ("cron", "--concurrency", "0"), ("prune", "--all")),
    *(("deliver", "--concurrency", "257"), ("cron", "now"), ("comments", "delete")),
    *(("audit", "--csv", "--json"), ("audit", "--action=x"), ("audit", "--since=x"), ("audit", "--limit=0")),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_what_no_book_could_accept_ends_with_2(
    shell: Shell, arguments: tuple[str, ...], sentence: str
) -> None:
    """A sentence that is given from its beginning is all that is said, in one line."""
    factories.webhook()
    factories.source()
    said = shell.refused(*arguments, code=2)
    assert sentence in said
    if sentence.startswith("Error: "):
        assert (said.startswith(sentence), said.count("\n")) == (True, 1)
    assert "Error: " in said
    assert "hunter2" not in said
    assert [len(shell.json(noun, "list")) for noun in ("webhooks", "sources", "tokens")] == [1, 1, 0]


@pytest.mark.parametrize("arguments", USAGE)
def test_what_is_no_command_is_a_usage_error(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in shell.refused(*arguments, code=2)


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
