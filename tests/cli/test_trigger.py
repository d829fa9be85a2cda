"""trigger: an example of an event, through the queue, to those who want it."""

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from tests.cli.conftest import Shell
from tests.support import factories
from tests.support.receiver import Receiver


@pytest.mark.parametrize("event", EVENTS)
def test_an_example_of_each_event_arrives_where_it_is_wanted(
    shell: Shell, receiver: Receiver, event: str
) -> None:
    factories.webhook(receiver.url("/wants"), events=event)
    factories.webhook(receiver.url("/else"), events="ping" if event != "ping" else "comment.created")
    assert shell("trigger", event) == f"1 delivery of {event} will be sent with the next pass.\n"
    factories.run_pass()
    [request] = receiver.requests
    assert (request.path, request.json["type"]) == ("/wants", event)
    assert request.json["data"]["guestbook"]["url"] == factories.settings().base_url


def test_one_webhook_gets_it_whatever_it_wants(shell: Shell) -> None:
    hook = factories.webhook(events="ping")
    factories.webhook()
    shell("trigger", "comment.published", "--webhook", hook[:30])
    assert (factories.one().webhook_id, factories.one().event) == (hook, "comment.published")


def test_a_listener_fetches_its_example(shell: Shell) -> None:
    factories.webhook("pull:", events="ping")
    fetched = "1 delivery of ping will be fetched by a listener.\n"
    assert shell("trigger", "ping") == fetched
    factories.webhook(events="ping")
    assert shell("trigger", "ping") == "1 delivery of ping will be sent with the next pass.\n" + fetched


def test_what_nobody_wants_is_refused(shell: Shell) -> None:
    factories.webhook(events="ping")
    assert "No webhook wants comment.deleted. Name one with --webhook." in shell.refused(
        "trigger", "comment.deleted"
    )
    assert "No webhook has the id" in shell.refused("trigger", "ping", "--webhook", "0" * 32)
    assert "comment.created" in shell.refused("trigger", "comment.x", code=2)
    assert factories.deliveries() == []


def test_an_event_that_there_is_not_is_answered_with_all_that_there_are(shell: Shell) -> None:
    said = shell.refused("trigger", "comment.nope", code=2)
    assert "trigger [OPTIONS] EVENT" in said
    assert all(event in said for event in EVENTS)
