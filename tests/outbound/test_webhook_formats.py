"""Webhooks and formats: a URL suggests one and is adapted to it, and a template is tried first."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook.lib.errors import Refused
from guestbook.outbound import webhooks
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from guestbook.storage.models.delivery import Template
from tests.support import factories
from tests.support.owned_webhooks import URL, add, update

DISCORD = "https://discord.com/api/webhooks/1/x"
TELEGRAM = "https://api.telegram.org/bot1:a/sendMessage"
GOOD = '{"text": {{ comment.message|tojson }}}'


@pytest.fixture(autouse=True)
def _app(app: Flask) -> None:
    pass


def refusals(act: Any, *arguments: Any, **fields: Any) -> dict[str, str]:
    with pytest.raises(Refused) as raised:
        act(*arguments, **fields)
    return raised.value.fields


def templates() -> dict[str, str]:
    db.session.rollback()
    return {row.webhook_id: row.text for row in db.session.scalars(select(Template))}


@pytest.mark.parametrize(
    ("url", "format_name", "normal"),
    [("HTTPS://NTFY.SH/my-topic", "ntfy", "https://ntfy.sh/?topic=my-topic"), (URL, "json", URL)],
)
def test_a_webhook_without_a_format_gets_the_one_of_its_url(url: str, format_name: str, normal: str) -> None:
    row = add(url)
    assert (row.format, row.url) == (format_name, normal)


@pytest.mark.parametrize("format_name", ["json", "slack"])
def test_a_format_that_is_named_wins_over_the_url(format_name: str) -> None:
    row = add(DISCORD, format=format_name)
    assert (row.format, row.url) == (format_name, DISCORD)


def test_what_the_format_lacks_in_the_url_is_refusals() -> None:
    assert "chat_id=<chat>" in refusals(add, TELEGRAM)["url"]
    assert "must name ntfy’s topic" in refusals(add, "https://receiver.example/", format="ntfy")["url"]
    row = add()
    assert "chat_id=<chat>" in refusals(update, row, format="telegram")["url"]
    assert factories.the(Webhook, row.id).format == "json"
    assert refusals(add, "https://ntfy.sh/" + "x/" * 989 + "t", format="ntfy")["url"].startswith(
        "The URL is longer"
    )


def test_a_change_of_the_format_or_the_url_makes_the_url_work() -> None:
    row = update(add("https://ntfy.example/a"), format="ntfy")
    assert (row.format, row.url) == ("ntfy", "https://ntfy.example/?topic=a")
    assert update(row, url="https://ntfy.example/b").url == "https://ntfy.example/?topic=b"
    assert update(row, name="Two").url == "https://ntfy.example/?topic=b"


def test_a_new_url_of_another_service_leaves_the_format_alone() -> None:
    assert update(add(), url=DISCORD).format == "json"


def test_a_template_says_its_format_by_itself() -> None:
    row = add(template=GOOD)
    assert (row.format, templates()) == ("template", {row.id: GOOD})
    row = update(add(), template=GOOD)
    assert (row.format, templates()[row.id]) == ("template", GOOD)


def test_a_template_is_changed_kept_and_thrown_away_with_the_format() -> None:
    row = add(format="template", template=GOOD)
    update(row, name="Two")
    assert templates() == {row.id: GOOD}
    update(row, template="[1]")
    assert templates() == {row.id: "[1]"}
    assert webhooks.template_of(db.session(), factories.the(Webhook, row.id)) == "[1]"
    assert update(row, format="json").format == "json"
    assert templates() == {}
    assert webhooks.template_of(db.session(), factories.the(Webhook, row.id)) is None


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"format": "template"}, "Write the template"),
        ({"format": "json", "template": GOOD}, "The format json has no template"),
        ({"template": "{% if %}"}, "Line 1 of the template: "),
        (
            {"template": GOOD, "events": ["ping", "webhook.disabled"]},
            "For webhook.disabled: The template asks for",
        ),
    ],
)
def test_a_template_that_is_wrong_is_refused_and_nothing_is_saved(
    fields: dict[str, Any], sentence: str
) -> None:
    assert refusals(add, **fields)["template"].startswith(sentence)
    row = add()
    before = (row.format, row.events, row.name)
    assert refusals(update, row, name="Two", **fields)["template"].startswith(sentence)
    row = factories.the(Webhook, row.id)
    assert (row.format, row.events, row.name) == before
    assert templates() == {}


def test_other_events_are_tried_on_the_template_that_is_there() -> None:
    row = add(template=GOOD)
    assert "For webhook.disabled" in refusals(update, row, events=["webhook.disabled"])["template"]
    assert update(row, events=["comment.deleted"]).events == "comment.deleted"


def test_what_a_database_cannot_keep_is_taken_out_of_a_template() -> None:
    row = add(template='["a\0b\ud800"]')
    assert templates() == {row.id: '["ab"]'}
