"""The catalogue of events: its schemas, samples and words, and that what is sent is in it."""

import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import update

from guestbook.comments import comment_actions
from guestbook.lib import VERSION, clock, json_schema
from guestbook.outbound import event_catalogue, event_publisher, formats, webhooks
from guestbook.outbound.event_catalogue import EVENTS, SAMPLE_BOOK, SAMPLE_TIME, EventType
from guestbook.outbound.formats import FormatInput, wording
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Hold, Webhook
from tests.support import factories, inbound_factories, sent_payloads
from tests.support.receiver import Answer, Receiver

each_event = pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)


# --- schemas


@each_event
def test_a_schema_is_one_and_stands_alone(event: EventType) -> None:
    Draft202012Validator.check_schema(event.schema())
    assert "$ref" not in json.dumps(event.schema())


@each_event
def test_every_field_says_what_it_means_and_what_it_is(event: EventType) -> None:
    for field in json_schema.fields(event.schema()):
        assert field.schema.get("description", "").endswith("."), field.path
        assert json_schema.in_words(field.schema) != "anything" or field.path.endswith(".payload")


@each_event
def test_every_text_that_is_an_id_a_time_or_a_url_must_be_one(event: EventType) -> None:
    for field in json_schema.fields(event.schema()):
        name = field.path.rpartition(".")[2]
        if name == "id":
            assert field.schema["pattern"] == json_schema.ID_PATTERN
        if name.endswith("_at") or name in ("since", "timestamp"):
            assert field.schema["format"] == "date-time"
        if name == "url" and not field.path.endswith("origin.url"):  # which a source may have made up
            assert field.schema["format"] == "uri"


@each_event
def test_receivers_must_accept_fields_of_later_versions(event: EventType) -> None:
    schemas = [event.schema(), *(field.schema for field in json_schema.fields(event.schema()))]
    assert not any("additionalProperties" in schema for schema in schemas)
    more = event.example() | {"later": 1}
    more["data"] |= {"later": 1}
    assert list(Draft202012Validator(event.schema()).iter_errors(more)) == []


def test_parts_with_the_same_type_have_the_same_schema() -> None:
    parts = [part for event in EVENTS.values() for part in event.data.values() if part.type_name]
    assert all(part.titled() == event_catalogue.types()[part.type_name].titled() for part in parts)
    names = [*event_catalogue.types(), *(event.type_name for event in EVENTS.values())]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("([A-Z][a-z]+)+", name) for name in names)


# --- words


@each_event
def test_each_says_when_it_is_sent_and_since_which_version(event: EventType) -> None:
    assert re.fullmatch("[a-z].*[a-z]", event.when)
    assert [int(part) for part in event.since.split(".")] <= [int(part) for part in VERSION.split(".")]


def test_the_reasons_why_a_webhook_is_disabled_have_words() -> None:
    reason = EVENTS["webhook.disabled"].schema()["properties"]["data"]["properties"]["webhook"]
    assert reason["properties"]["reason"]["enum"] == sorted(wording.WHY_DISABLED)


# --- samples


@each_event
def test_an_example_fits_and_is_what_the_format_json_makes_of_the_sample(event: EventType) -> None:
    assert sent_payloads.faults(json.dumps(event.example())) == []
    made = formats.render("json", FormatInput(event.name, SAMPLE_TIME, event.sample_data()))
    assert json.loads(made) == event.example()


@pytest.mark.usefixtures("app")
def test_all_links_of_an_example_lead_to_the_book_that_sends_it() -> None:
    hook, mine = factories.webhook(), replace(factories.settings(), base_url="https://mine.example/book")
    with database.writing() as session:
        rows = [session.get_one(Webhook, hook)]
        for event in EVENTS:
            event_publisher.send(
                session.connection(), event, EVENTS[event].sample_data(mine.base_url), rows, mine
            )
    for row in factories.deliveries():
        data = json.loads(row.payload)["data"]
        assert data["guestbook"]["url"] == mine.base_url
        assert SAMPLE_BOOK not in row.payload


@each_event
def test_an_optional_part_fits_too(event: EventType) -> None:
    every = event.example()
    every["data"] |= {name: part.sample for name, part in event.data.items()}
    assert sent_payloads.faults(json.dumps(every)) == []


@pytest.mark.usefixtures("app")
def test_a_body_that_does_not_fit_is_noticed_when_stored_and_when_it_arrives(receiver: Receiver) -> None:
    factories.webhook(receiver.url("/"))
    body = copy.deepcopy(EVENTS["comment.created"].example())
    del body["data"]["comment"]["name"]
    factories.delivery(factories.webhook(receiver.url("/")), payload=json.dumps(body, separators=(",", ":")))
    fault = "comment.created: data.comment: 'name' is a required property"
    assert sent_payloads.take_faults() == [fault]
    factories.run_pass()
    sent_payloads._known.clear()
    receiver.close()
    assert sent_payloads.take_faults() == [fault]


# --- what is sent


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("has_links", [False, True])
def test_each_event_that_is_sent_is_in_it_and_fits(receiver: Receiver, has_links: bool) -> None:
    sent = everything_sent(receiver, moderation_links_since=clock.now() if has_links else None)
    assert set(sent) == set(EVENTS)
    assert [fault for body in sent.values() for fault in sent_payloads.faults(body)] == []
    for name in ("comment.created", "comments.waiting"):
        assert (b'"moderation"' in sent[name]) is has_links


def everything_sent(receiver: Receiver, **columns: Any) -> dict[str, bytes]:
    """Let each event happen and return its body."""
    one = factories.webhook(receiver.url("/all"), events=" ".join(EVENTS), **columns)
    receiver.answer("/gone", Answer(410))
    factories.webhook(receiver.url("/gone"), name="Chat")
    receiver.answer("/shaky", Answer(500), Answer(200))
    factories.webhook(receiver.url("/shaky"), name="Shaky")
    inbound_factories.source(action="forward", template=None)
    inbound_factories.post({"action": "created"})
    comment_id = factories.sign()
    factories.run_pass()
    read_settings = factories.settings()
    with database.writing() as session:
        webhooks.store_sample(session, session.get_one(Webhook, one), read_settings)
        comment = session.get_one(Comment, comment_id)
        comment_actions.reply(session, comment, "Welcome!", read_settings)
        for status in ("held", "published"):
            comment_actions.move(session, comment, status, read_settings)
    _send_all()  # before the deletion, which would take its place
    factories.change(comment_id, comment_actions.move, "trash")
    _send_all()
    factories.sign(verdict=factories.HELD)
    with database.write(db.engine) as connection:
        connection.execute(update(Hold).values(remind_at=clock.now()))
    factories.run_pass()
    return {json.loads(request.body)["type"]: request.body for request in receiver.at("/all")}


def _send_all() -> None:
    for _ in range(3):  # events of one comment go out one after the other
        factories.all_due()
        factories.run_pass()
