"""Metadata: the event, the id that finds repeats, and the person, as each sender names them."""

import time
from typing import Any

import pytest

from guestbook.inbound.event_reader import Metadata, extract_metadata, split_metadata

GITHUB = {"x-github-event": "issues", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
OPENED = {"action": "opened", "issue": {"id": 1}, "sender": {"login": "ada", "id": 7}}
STRIPE = {"id": "evt_1MqqbKLt", "type": "charge.succeeded", "data": {"object": {"id": "ch_1"}}}
SLACK = {"event_id": "Ev08MFMKH6", "event": {"type": "app_mention", "user": "U061F7AUR", "text": "hello"}}
BOOK = {"type": "comment.published", "data": {"comment": {"id": "c1", "name": "Zoë"}}}
OF_BOOK = {"webhook-id": "e1", "x-guestbook-event": "comment.published"}
GITEA = {"x-gitea-event": "push", "x-gitea-delivery": "g-1"}
FORGEJO = {"x-forgejo-event": "release", "x-forgejo-delivery": "f-1"}
OPEN = {"action": "open"}
MERGE = {"object_kind": "merge_request", "user": {"username": "root"}, "object_attributes": OPEN}
MERGED = {"x-gitlab-event": "Merge Request Hook", "idempotency-key": "k-1", "x-gitlab-event-uuid": "u-1"}
PUSH = {"object_kind": "push", "user_name": "Ada L.", "user_username": "ada"}
PUSHED = {"x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "shared by several"}
BITBUCKET = {"actor": {"display_name": "Ada L.", "nickname": "ada"}, "push": {"changes": []}}


@pytest.mark.parametrize(("headers", "payload", "facts"), [
    (GITHUB, OPENED, ("issues.opened", GITHUB["x-github-delivery"], "ada")),
    ({"x-github-event": "push"}, {"pusher": {"name": "bob"}}, ("push", None, "bob")),
    (GITEA, {"sender": {"username": "ada"}}, ("push", "g-1", "ada")),
    (FORGEJO, {"action": "published", "sender": {"login": "ada"}}, ("release.published", "f-1", "ada")),
    (MERGED, MERGE, ("merge_request.open", "k-1", "root")),
    (PUSHED, PUSH, ("push", None, "ada")),
    ({"x-gitlab-event": "System Hook"}, {}, ("System Hook", None, None)),
    ({"webhook-id": "msg_1"}, {"type": "user.created"}, ("user.created", "msg_1", None)),
    ({"svix-id": "msg_2"}, {"type": "user.created"}, ("user.created", "msg_2", None)),
    (OF_BOOK, BOOK, ("comment.published", "e1", "Zoë")),
    ({"stripe-signature": "t=1,v1=a"}, STRIPE, ("charge.succeeded", "evt_1MqqbKLt", None)),
    ({"x-slack-signature": "v0=a"}, SLACK, ("app_mention", "Ev08MFMKH6", "U061F7AUR")),
    ({}, {"command": "/weather", "user_name": "ada"}, (None, None, "ada")),
    ({}, {"type": "block_actions", "user": {"username": "ada"}}, ("block_actions", None, "ada")),
    ({}, {"event": "order paid"}, ("order paid", None, None)),
    ({"x-event-key": "repo:push", "x-request-uuid": "u"}, BITBUCKET, ("repo:push", None, "ada")),
    ({"x-event-key": "pr:opened"}, {"actor": {"name": "ada"}}, ("pr:opened", None, "ada")),
    ({}, {"event_id": "t-1", "event_type": "form_response"}, ("form_response", "t-1", None)),
    ({"ce-type": "com.example.made", "ce-id": "1"}, {"a": 1}, ("com.example.made", None, None)),
])  # fmt: skip
def test_what_each_sender_says(headers: dict[str, str], payload: object, facts: tuple[Any, ...]) -> None:
    assert extract_metadata(headers, payload) == facts


def test_the_id_of_a_thing_is_not_the_id_of_a_delivery() -> None:
    for payload in ({"id": "42"}, {"id": 42}, {"issue": {"id": "evt_1"}}, {"data": {"id": "evt_1"}}):
        assert extract_metadata({}, payload).external_id is None


@pytest.mark.parametrize(
    "payload", [None, 5, "text", [], ["type"], {}, {"type": 5}, {"sender": [], "event": {}}]
)
def test_who_says_nothing_has_no_facts(payload: object) -> None:
    assert extract_metadata({}, payload) == Metadata(None, None, None)


def test_facts_are_one_clean_line_and_fit_their_columns() -> None:
    facts = extract_metadata(
        {"x-github-event": "a\u202eb\n" + "c" * 1_000_000, "x-github-delivery": "d" * 1_000_000},
        {"sender": {"login": " \x00 \ud800 é\u0301\n" + "f" * 1_000_000}},
    )
    assert facts.event == "ab " + "c" * 97
    assert facts.external_id == "d" * 200
    assert facts.sender.startswith("é")
    assert len(facts.sender) == 200
    assert extract_metadata({"x-github-event": "a" * 99 + " b"}, {}).event == "a" * 99
    unseen = {"x-github-event": "\u200b", "x-github-delivery": "  "}
    assert extract_metadata(unseen, {"sender": {"login": "\x00"}}) == Metadata(None, None, None)


def test_a_megabyte_of_marks_takes_no_time() -> None:
    start = time.thread_time()
    extract_metadata({}, {"type": "a\u0301\u0316" * 400_000, "event_id": "\u200d\u0301" * 500_000})
    assert time.thread_time() - start < 2  # to normalise all of it: minutes


@pytest.mark.parametrize(("headers", "payload", "parts"), [
    (GITHUB, OPENED, ("issues", "opened")),
    ({"x-github-event": "push"}, {}, ("push", "")),
    ({"x-gitlab-event": "Merge Request Hook"}, MERGE, ("merge_request", "open")),
    ({"x-guestbook-event": "comment.published"}, BOOK, ("comment.published", "")),
    ({}, STRIPE, ("charge.succeeded", "")),
    ({}, "text", ("", "")),
])  # fmt: skip
def test_an_event_splits_into_kind_and_action(headers: dict[str, str], payload: Any, parts: Any) -> None:
    assert split_metadata(extract_metadata(headers, payload).event, payload) == parts
