"""webhooks check: its table, its faults and what it leaves alone."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from guestbook.cli import output
from guestbook.lib import signatures
from guestbook.outbound import receiver_check
from guestbook.storage.database import Base, db
from guestbook.storage.models import Webhook
from tests.cli.conftest import Shell, Terminal
from tests.support import factories, site
from tests.support.planted_receivers import SECRET, Program, TakesOld, serving

FIELDS = {"check", "sent", "answer", "should_be", "fault", "guide"}


class Watching(TakesOld):
    """It notes how many connections to the database are in use during each request."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self.engine = engine
        self.in_use: set[int] = set()

    def take(self, event_id: str, body: bytes) -> int:
        self.in_use.add(self.engine.pool.checkedout())
        return super().take(event_id, body)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_check, "PIECE_PAUSE", 0.01)


@pytest.fixture
def watching(shell: Shell) -> Iterator[tuple[Watching, str]]:  # noqa: ARG001  its app has the engine
    program = Watching(db.engine)
    with serving(program) as url:
        yield program, url


def rows() -> dict[str, Sequence[Any]]:
    with db.engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        return {one.name: connection.execute(select(one)).all() for one in tables}


def test_it_shows_what_the_receiver_did_and_stores_nothing(
    shell: Shell, watching: tuple[Watching, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, url = watching
    factories.webhook(url, name="Mine", secret=SECRET)
    before = rows()
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    result = shell.result("webhooks", "check", "Mine")
    assert (result.exit_code, result.stderr) == (1, "")
    table, fault, ending = result.stdout.split("\n\n")
    assert len(table.splitlines()) == 1 + len(receiver_check.EXAMINATIONS)
    assert max(map(len, table.splitlines())) <= 100
    assert "…" not in table
    assert [line.split()[0] for line in table.splitlines() if line.endswith("fault")] == ["stale"]
    assert fault.startswith("stale: Somebody who has recorded a webhook")
    assert fault.endswith("\n  See docs/howto/write-a-receiver.md#verify")
    assert ending == "1 fault.\n"
    assert program.in_use == {0}
    assert rows() == before


def test_a_good_receiver_is_found_by_its_url_and_json_has_each_result(shell: Shell) -> None:
    with serving(Program()) as url:
        factories.webhook(url, secret=SECRET)
        results = shell.json("webhooks", "check", url)
    assert [set(one) for one in results] == [FIELDS] * len(receiver_check.EXAMINATIONS)
    assert {one["fault"] for one in results} == {None}


def test_a_receiver_that_cannot_be_reached_has_one_fault(shell: Shell) -> None:
    with site.reserved_port() as closed:
        key = factories.webhook(site.address(closed))
        result = shell.result("webhooks", "check", key)
        (found,) = json.loads(shell.result("webhooks", "check", key, "--json").stdout)
    assert result.exit_code == 1
    assert result.stdout.count("The connection could not be made. (Connection refused)") == 1
    assert result.stdout.endswith(
        "\n1 fault. The receiver takes nothing any more, so the rest was left out.\n"
    )
    assert (found["check"], found["answer"]) == ("good", "connect failed")


def test_a_template_that_makes_no_body_is_a_fault_of_the_webhook(shell: Shell) -> None:
    four_times = "[" + ", ".join(["{{ comment.message|tojson }}"] * 4) + "]"
    with serving(Program()) as url:
        shell("webhooks", "add", url, "--name", "Mine", "--template", four_times, "--secret", SECRET)
        result = shell.result("webhooks", "check", "Mine", "--json")
    faults = {one["check"]: one["fault"] for one in json.loads(result.stdout) if one["fault"]}
    assert list(faults) == ["size"]
    assert faults["size"].startswith("The template makes more than")


def test_what_cannot_be_checked_is_refused_in_a_sentence(shell: Shell) -> None:
    pulled = factories.webhook("pull:", name="Listener")
    assert shell.refused("webhooks", "check", "Listener") == f"Error: {receiver_check.PULLED}\n"
    assert shell.refused("webhooks", "check", "pull:") == f"Error: {receiver_check.PULLED}\n"
    assert factories.the(Webhook, pulled).is_pulled
    assert (
        shell.refused("webhooks", "check", "nobody") == "Error: No webhook has the id or the name nobody.\n"
    )


def test_a_url_that_is_no_webhook_yet_is_checked_with_the_secret_of_its_receiver(shell: Shell) -> None:
    before = rows()
    with serving(Program()) as url:
        results = shell.json("webhooks", "check", url, "--secret", SECRET)
    assert [one["fault"] for one in results] == [None] * len(receiver_check.EXAMINATIONS)
    assert rows() == before


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_without_a_secret_a_new_one_is_printed_that_signs(shell: Shell, form: tuple[str, ...]) -> None:
    before, program = rows(), Program()
    with serving(program) as url:
        result = shell.result("webhooks", "check", url, *form)
    said = result.stderr if form else result.stdout
    label, _, secret = said.splitlines()[0].rpartition(" ")
    assert label == "A new secret, with which the receiver verifies:"
    [(headers, body)] = program.requests  # It did not know that secret.
    signed = headers["webhook-id"], int(headers["webhook-timestamp"]), body
    assert signatures.standard((signatures.key_of(secret),), *signed) == headers["webhook-signature"]
    assert (result.exit_code, rows()) == (1, before)


def test_on_a_terminal_the_receiver_can_get_the_new_secret_first(
    shell: Shell,  # noqa: ARG001  it makes the tables
    terminal: Terminal,
) -> None:
    program = Program()
    with serving(program) as url:
        code, said = terminal("webhooks", "check", url, typed="\n")
    assert code == 1
    assert "Give it to the receiver, then press Enter." in said
    assert len(program.requests) == 1


def test_a_url_that_no_webhook_may_have_is_not_sent_to(shell: Shell) -> None:
    check = ("webhooks", "check")
    assert "private or reserved address" in shell.refused(*check, "http://10.0.0.1/")
    assert "must start with" in shell.refused(*check, "ftp://receiver.example/", code=2)
    assert "The secret must be" in shell.refused(*check, "https://a.example/", "--secret", "", code=2)
    chat = "https://hooks.slack.com/services/T/B/x"
    assert shell.refused(*check, chat) == f"Error: {receiver_check.UNVERIFIED}\n"


def test_a_webhook_of_the_book_is_checked_with_its_own_secret(shell: Shell) -> None:
    factories.webhook("https://receiver.example/", name="Mine")
    for given in ("Mine", "https://receiver.example/"):
        assert "Leave out --secret." in shell.refused("webhooks", "check", given, "--secret", SECRET)
