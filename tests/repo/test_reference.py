"""docs/reference has what the code has: its generated parts are fresh, its tables compare both ways."""

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click import ClickException, UsageError
from flask import Flask

from guestbook import settings
from guestbook.background import retention_rules
from guestbook.comments.spam import learned_words, spam_rules, text_marks
from guestbook.comments.spam.spam_report import REFUSAL_REASONS
from guestbook.comments.spam.spam_rules import PROGRAM_RULES, SUSPICION_RULES
from guestbook.inbound import request_bins
from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS, SENDER_PRESETS
from guestbook.lib import clock, retry_policy
from guestbook.lib.errors import TRY_LATER
from guestbook.lib.template_sandbox import OUTPUT_LIMIT, TEMPLATE_STEPS, values
from guestbook.outbound import receiver_check
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.pause_and_disable import DISABLE_AFTER, DISABLE_AFTER_TIME
from guestbook.outbound.payload_versions import VERSIONS
from guestbook.storage import database
from guestbook.storage.models import source
from guestbook.storage.models.owner import SCOPES
from guestbook.storage.models.source import ACTIONS, VERIFY
from guestbook.storage.preferences import Preferences
from guestbook.web.visitor_tokens import VISITOR_COOKIE, VISITOR_LIFETIME
from scripts import reference_pages
from tests.repo.test_documents import commands, options
from tests.support import factories
from tests.support.documents import blocks, first_column, read, section
from tests.support.receiver import Receiver

SPAM_ROW = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)
OF_HTTP = {"host", "content-length", "accept-encoding", "connection"}  # every request has them


@pytest.mark.parametrize("page", reference_pages.pages(), ids=lambda page: page.stem)
def test_the_generated_parts_are_fresh(page: Path) -> None:
    assert page.read_text() == reference_pages.pages()[page], "Run scripts/reference."


def test_every_part_is_on_one_page() -> None:
    text = "".join(page.read_text() for page in reference_pages.FOLDER.glob("*.md"))
    assert sorted(name for _, name, _ in reference_pages.PART.findall(text)) == sorted(reference_pages.PARTS)


# --- commands


def test_every_command_and_every_option_is_listed_and_has_help() -> None:
    text = read("reference/commands")
    listed = dict(re.findall(r"(?ms)^###+ `([a-z-]+(?: [a-z-]+)?).*?`$(.*?)(?=^##|\Z)", text))
    assert set(listed) == set(commands())
    for name, command in commands().items():
        assert command.help, name
        assert all(one.help or one.hidden for one in command.params if isinstance(one, click.Option)), name
        rows = " ".join(first_column(listed[name]))
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rows)) == options(command), name


# --- settings


def test_the_table_of_settings_has_each() -> None:
    assert set(first_column(read("reference/settings"))) == settings.SETTING_NAMES


def test_the_defaults_in_the_table_are_the_defaults(tmp_path: Path) -> None:
    rows = re.findall(r"(?m)^\| `(GUESTBOOK_\w+)` \| `([^`/]+|http[^`]+)` \|", read("reference/settings"))
    stated = {name: value for name, value in rows if name != "GUESTBOOK_DATA_DIR"}
    assert len(stated) == 10
    bare = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_SECRET_KEY": "a secret key for tests alone"}
    assert settings.load(bare | stated) == settings.load(bare)


# --- what we send


@pytest.mark.parametrize(("page", "title", "listed"), [
    ("events", "Events", EVENTS),
    ("formats", "", FORMATS),
    ("sources", "Verification", VERIFY),
    ("sources", "Senders", SENDER_PRESETS),
    ("sources", "Actions", ACTIONS),
    ("sources", "Templates", PRESETS),
    ("api", "Tokens", SCOPES),
    ("webhooks", "Checks of a receiver", [one.name for one in receiver_check.EXAMINATIONS]),
    ("webhooks", "Versions", sorted(VERSIONS, reverse=True)),
])  # fmt: skip
def test_a_table_has_what_there_is_in_its_order(page: str, title: str, listed: Iterable[str]) -> None:
    text = read(f"reference/{page}")
    assert first_column(section(text, title) if title else text) == list(listed)


def test_the_headers_are_those_that_are_sent(app: Flask, receiver: Receiver) -> None:  # noqa: ARG001
    factories.webhook(receiver.url("/"))
    factories.webhook(receiver.url("/github"), github_headers_since=clock.now())
    factories.sign()
    factories.run_pass()
    [plain], [for_github] = receiver.at("/"), receiver.at("/github")
    page = read("reference/webhooks")
    listed = {name.lower() for name in first_column(section(page, "Headers"))}
    assert listed == set(plain.headers) - OF_HTTP
    more = {name.lower() for name in first_column(section(page, "GitHub's headers"))}
    assert more == set(for_github.headers) - set(plain.headers)


def test_the_header_of_a_check_is_listed() -> None:
    listed = first_column(section(read("reference/webhooks"), "Requests of a check"))
    assert listed == [receiver_check.TEST_HEADER]


def test_the_examples_of_payloads_are_those_of_the_catalogue() -> None:
    shown = {one["type"]: one for one in map(json.loads, blocks(read("reference/events"), "json"))}
    assert shown == {name: event.example() for name, event in EVENTS.items()}


def test_the_link_of_the_example_leads_to_its_comment() -> None:
    example = json.loads(blocks(read("reference/events"), "json")[0])
    assert example["data"]["comment"]["url"].endswith("/" + example["data"]["comment"]["id"])


# --- what we receive


def test_the_table_of_schemes_has_each_option() -> None:
    fields = ["signed-content" if name == "content" else name.replace("_", "-") for name in SCHEME_DEFAULTS]
    listed = first_column(section(read("reference/sources"), "Schemes"))
    assert listed == [f"--{name}" for name in ("header", *fields)]


# --- the API


def test_it_says_how_much_one_network_may_write() -> None:
    assert f"may write {Preferences().rate} comments in ten minutes" in read("reference/api")


# --- the tables


def test_every_column_is_listed() -> None:
    text = read("reference/tables")
    for table in database.Base.metadata.tables.values():
        listed = re.findall(r"(?m)^\| `(\w+)`", section(text, table.name))
        assert listed == [column.name for column in table.columns], table.name


# --- numbers


def test_the_retry_schedule_in_words_is_the_default() -> None:
    waits = [int(seconds) for seconds in settings.RETRY_SCHEDULE.split(",")][1:]
    *some, last = map(in_words, waits)
    assert f"after {', '.join(some)} and {last}, each give or take a fifth" in read("reference/webhooks")


def in_words(seconds: int) -> str:
    """2 h, 5 min, 5 s."""
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size)
    return f"{seconds // size} {unit}"


def test_the_rules_about_failing_receivers_are_those_of_the_code() -> None:
    text = read("reference/webhooks")
    assert retry_policy.PAUSE_AFTER == 5
    assert "no answer in time, five times in a row" in text
    assert (10, timedelta(days=5)) == (DISABLE_AFTER, DISABLE_AFTER_TIME)
    assert "failures for five days, ten or more" in text


def test_the_limits_of_sources_templates_and_bins_are_those_of_the_code() -> None:
    text = read("reference/sources")
    assert f"may take {source.BUDGET_MB} MB of each source" in text
    assert f"may take {TEMPLATE_STEPS:,} steps" in text
    assert f"give {OUTPUT_LIMIT:,} characters" in " ".join(text.split())
    for names in (values.FILTERS, values.METHODS, values.TESTS):
        assert ", ".join(f"`{name}`" for name in sorted(names)) in text
    bins_page = read("reference/bins")
    assert f"the latest {request_bins.REQUESTS_KEPT} requests, for seven days" in bins_page
    assert f"the first {request_bins.BODY_KEPT // 1024} kB of the body" in bins_page
    assert timedelta(days=7) == retention_rules.KEEP_BIN_REQUESTS


def test_the_exit_codes_are_those_of_the_commands() -> None:
    listed = re.findall(r"(?m)^\| (\d+) \|", section(read("reference/commands"), "Exit codes"))
    used = [0, ClickException.exit_code, UsageError.exit_code, TRY_LATER]
    assert [int(code) for code in listed] == used


# --- the spam rules


def test_the_spam_rules_stand_in_the_order_of_the_tables_of_the_code() -> None:
    rules, refusals = read("reference/spam-rules").split("## Refusals")
    names = [rule.__name__ for rule in PROGRAM_RULES + SUSPICION_RULES]
    assert [name.strip("`") for name in SPAM_ROW.findall(rules)] == names
    assert set(re.findall(r"`(\w+)`", " ".join(SPAM_ROW.findall(refusals)))) == set(REFUSAL_REASONS)


def test_the_numbers_of_the_spam_rules_are_those_of_the_code() -> None:
    page = read("reference/spam-rules")
    text = " ".join(page.split())
    assert f"less than {spam_rules.QUICKEST_PERSON:g} seconds" in text
    assert f"more than {spam_rules.MOST_LINKS} links, or more than {spam_rules.MOST_FIRST_LINKS}" in text
    assert f"newest {spam_rules.COMPARED_COMMENTS} comments" in text
    assert f"from {spam_rules.FEWEST_COMMENTS} comments on" in text
    assert f"fewer than {text_marks.FEWEST_LETTERS_MARKED} letters" in text
    assert f"the cookie `{VISITOR_COOKIE}` for {VISITOR_LIFETIME.days} days" in text
    defaults = Preferences()
    assert f"| comments of one network in ten minutes | {defaults.rate} |" in page
    assert f"| comments of the whole book in a minute | {defaults.flood} |" in page
    score = read("explanation/learned-score")
    assert f"the {learned_words.TELLING_WORDS} strongest words" in " ".join(score.split())
    assert learned_words.FEWEST_DECISIONS == 30
    assert "before it knows 30 comments of each kind" in " ".join(score.split())
