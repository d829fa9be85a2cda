"""Webhooks: wrong input is refused in a sentence, a URL suggests a format, templates are tried."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook.lib.errors import Refused
from guestbook.outbound import webhooks
from guestbook.outbound.formats.bodies import MENTIONING_EVENTS
from guestbook.storage import row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from guestbook.storage.models.delivery import Template
from tests.support import factories
from tests.support.owned_webhooks import URL, add, refused, update


@pytest.fixture(autouse=True)
def _app(app: Flask) -> None:
    pass


def test_a_url_alone_gets_what_most_people_want() -> None:
    row = add()
    assert (row.url, row.name, row.format, row.events, row.headers) == (
        URL, "receiver.example", "json", "comment.created", {},
    )  # fmt: skip
    assert row.secret.startswith("whsec_")
    assert row.disabled_at is None


def test_everything_may_be_given() -> None:
    row = add(
        name="  My   chat ", format="json", events=("ping", "comment.deleted", "ping"),
        headers=("X-Token: a:b", "Authorization:Bearer x"),
    )  # fmt: skip
    assert (row.name, row.events) == ("My chat", "ping comment.deleted")
    assert row.headers == {"X-Token": "a:b", "Authorization": "Bearer x"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": ""}, "The URL is missing."),
        ({"url": "receiver.example"}, "The URL must start with https:// or http://."),
        ({"url": "https://u:p@receiver.example/"}, "The URL must not contain a user name or password"),
        ({"url": "pull"}, "Write pull: and nothing else."),
        ({"url": "PULL://x"}, "Write pull: and nothing else."),
        ({"url": "webmention:x"}, "Write webmention: and nothing else."),
        ({"url": "mailto:you@example.org"}, "To send e-mail, first set GUESTBOOK_SMTP_URL"),
        ({"format": "email"}, "The format email needs a URL like mailto:you@example.org"),
        ({"format": "webmention"}, "The format webmention needs the URL webmention:"),
        ({"url": "webmention:", "format": "json"}, "The format webmention needs the URL webmention:"),
        ({"url": "pull:", "rate": "5/s"}, "Its receiver fetches the messages at its own speed"),
        ({"name": " "}, "The name must have 1 to 80 characters."),
        ({"name": "x" * 81}, "The name must have 1 to 80 characters."),
        ({"name": "\u202e\u200b"}, "The name must have 1 to 80 characters."),
        ({"format": "xml"}, "There is no format 'xml'. Choose one of: json"),
        ({"events": ("comment",)}, "There is no event 'comment'. Choose one of: comment.created, "),
        ({"events": ()}, "Choose at least one event"),
        ({"headers": ("X-Token",)}, "The header 'X-Token' needs the form 'Name: value'."),
        ({"headers": ("X-T: a", "x-t: b")}, "A header is named twice."),
        ({"headers": (": a",)}, "'' is not a header’s name."),
        ({"headers": ("X: a\nHost: b",)}, "The value of X must consist of printable ASCII characters."),
        ({"headers": ("webhook-id: 1",)}, "The header webhook-id is set by the guestbook itself."),
        ({"headers": tuple(f"X-{n}: a" for n in range(11))}, "There may be at most 10 headers."),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert next(iter(refused(**fields).values())).startswith(sentence)


def test_a_url_that_is_only_a_word_may_be_written_in_capitals() -> None:
    rows = [add(url=word) for word in ("PULL:", " Pull: ", "WebMention:")]
    assert [row.url for row in rows] == ["pull:", "pull:", "webmention:"]
    assert [row.events for row in rows[1:]] == ["comment.created", " ".join(MENTIONING_EVENTS)]


def test_a_rate_limit_is_removed_before_the_receiver_fetches() -> None:
    row = add(rate="5/s")
    with pytest.raises(Refused, match="remove the rate limit"):
        update(row, url="pull:")
    assert update(row, url="pull:", rate=None).url == "pull:"
    with pytest.raises(Refused, match="remove the rate limit"):
        update(row, rate="30/m")


def test_each_wrong_field_gets_its_sentence() -> None:
    with pytest.raises(Refused) as raised:
        add(url="", name="", format="xml", events=(), headers=("X",))
    assert list(raised.value.fields) == ["url", "name", "format", "events", "headers"]
    assert raised.value.fields["url"] == "The URL is missing."
    assert str(raised.value).startswith("The URL is missing. The name must have 1 to 80 characters. There is")


def test_an_update_changes_what_is_named_and_nothing_else() -> None:
    row = add(name="one", headers=("X-Token: a",))
    changed = update(row, name="two", events=("ping",))
    assert (changed.name, changed.events, changed.headers) == ("two", "ping", {"X-Token": "a"})
    assert (changed.url, changed.secret, changed.created_at) == (row.url, row.secret, row.created_at)
    assert update(row, headers=()).headers == {}


def test_an_update_with_one_wrong_field_changes_nothing() -> None:
    row = add(name="one")
    with pytest.raises(Refused):
        update(row, url="https://new.example/", name="two", events=("nothing",))
    found = factories.the(Webhook, row.id)
    assert (found.url, found.name, found.events) == (URL, "one", "comment.created")


@pytest.mark.usefixtures("each_app")
def test_to_delete_a_webhook_takes_its_deliveries_and_attempts_along() -> None:
    row, other = factories.webhook(), factories.webhook()
    many = [factories.delivery(row, status="processed") for _ in range(3)]
    factories.delivery(row)
    kept = factories.delivery(other)
    factories.attempt(many[0], number=1)
    assert row_changes.delete_with_rows(db.engine, Webhook, row) == 4
    assert [delivery.id for delivery in factories.deliveries()] == [kept]
    assert factories.attempts() == []
    assert factories.the(Webhook, other)
    assert db.session.get(Webhook, row) is None


# --- headers that are meant for one host

HEADERS = ("Authorization: Bearer x", "X-Team: a")


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/hook",
        "https://receiver.example:8443/hook",
        "https://sub.receiver.example/hook",
        "http://receiver.example/hook",
    ],
)
@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "Authorization, X-Team"),
        ({"headers": ("Authorization: (hidden)", "X-Team: b")}, "Authorization"),
        ({"headers": ("x-team : (hidden)",)}, "x-team"),
    ],
)
def test_values_for_one_host_do_not_go_to_another(url: str, headers: dict[str, Any], named: str) -> None:
    row = add(url="https://receiver.example/hook", headers=HEADERS)
    with pytest.raises(Refused) as raised:
        update(row, url=url, **headers)
    sentence = f"The new URL is on another host. Give the value of {named} again, or remove it."
    assert raised.value.fields == {"headers": sentence}
    stored = db.session.get_one(Webhook, row.id)
    assert (stored.url, len(stored.headers)) == ("https://receiver.example/hook", 2), "nothing was changed"


def test_values_typed_anew_or_removed_are_saved_with_the_url() -> None:
    row = add(url="https://receiver.example/hook", headers=HEADERS)
    assert update(row, url="https://other.example/", headers=("X-New: 1",)).headers == {"X-New": "1"}
    assert update(row, url="https://third.example/", headers=()).headers == {}
    assert update(row, url="https://other.example/").url == "https://other.example/", "it has none to keep"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https", "https://receiver.example/new?a=b"),
        ("https", "https://RECEIVER.example:443/hook"),
        ("http", "https://receiver.example/hook"),
    ],
)
def test_on_the_same_host_headers_keep_their_values(old: str, new: str) -> None:
    row = add(url=f"{old}://receiver.example/hook", headers=HEADERS)
    hidden = ("Authorization: (hidden)", "X-Team: (hidden)")
    assert update(row, url=new).headers == {"Authorization": "Bearer x", "X-Team": "a"}
    assert update(row, url=new, headers=hidden).headers == {"Authorization": "Bearer x", "X-Team": "a"}


# --- links to moderate


@pytest.mark.parametrize(
    ("fields", "has_links"),
    [
        ({}, False),
        ({"format": "slack"}, True),
        ({"format": "slack", "moderation_links": False}, False),
        ({"format": "json", "moderation_links": True}, True),
        ({"url": "https://ntfy.sh/topic"}, False),  # everybody who guesses the topic reads it
        ({"url": "https://discord.com/api/webhooks/1/x"}, True),
    ],
)
def test_links_to_moderate_go_to_readers_of_the_owner_s(fields: dict[str, Any], has_links: bool) -> None:
    assert (add(**fields).moderation_links_since is not None) == has_links


def test_another_format_has_its_own_default_and_other_changes_leave_links_alone() -> None:
    row = add(format="slack")
    since = row.moderation_links_since
    row = update(row, name="Chat", moderation_links=True)
    assert row.moderation_links_since == since
    assert update(row, format="json").moderation_links_since is None
    assert update(row, name="Program").moderation_links_since is None
    assert update(row, format="mattermost").moderation_links_since is not None
    assert update(row, format="teams", moderation_links=False).moderation_links_since is None


# --- formats and templates


DISCORD = "https://discord.com/api/webhooks/1/x"
TELEGRAM = "https://api.telegram.org/bot1:a/sendMessage"
GOOD = '{"text": {{ comment.message|tojson }}}'


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
def test_a_wrong_template_is_refused_and_nothing_is_saved(fields: dict[str, Any], sentence: str) -> None:
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
