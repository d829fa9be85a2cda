"""Answers are evaluated: only 2xx is success, and a receiver may ask for a pause or an end."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from guestbook.outbound import delivery_tasks, response_policy
from guestbook.outbound.response_policy import Decision, Policy
from guestbook.storage.models.delivery import NeededSecrets

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


OK, FAILED = Decision(ok=True), Decision(ok=False)
GONE, ABORT = Decision(ok=False, gone=True), Decision(ok=False, abort=True)


@pytest.mark.parametrize(
    ("statuses", "headers", "decision"),
    [
        ((200, 201, 202, 204, 226, 299), {}, OK),
        ((101, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 429, 500, 503, 599), {}, FAILED),
        ((410,), {}, GONE),
        ((429, 502, 503, 504), {"retry_after": "120"}, Decision(ok=False, pause=120)),
        ((301, 404, 500, 501), {"retry_after": "120"}, FAILED),
        ((200,), {"retry_after": "120"}, OK),
        *(((400, 500), {"webhook_delivery": wish}, GONE) for wish in ("disable", " Disable ", "DISABLE")),
        ((200,), {"webhook_delivery": "disable"}, Decision(ok=True, gone=True)),
        ((400,), {"webhook_delivery": "abort-message"}, ABORT),
        ((400,), {"webhook_delivery": "Abort-Message\t"}, ABORT),
        ((200,), {"webhook_delivery": "abort-message"}, Decision(ok=True, abort=True)),
        ((500,), {"webhook_delivery": "abort"}, FAILED),
        ((429,), {"webhook_delivery": "abort-message", "retry_after": "5"}, replace(ABORT, pause=5)),
    ],
)
def test_what_an_answer_means(statuses: tuple[int, ...], headers: dict[str, str], decision: Decision) -> None:
    assert {read_as("json", status, b"", **headers) for status in statuses} == {decision}


def read_as(name: str, status: int, body: bytes, **headers: str) -> Decision:
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return policy_of(name)(status, named, NOW, body)


def policy_of(name: str) -> Policy:
    """The policy that a webhook of that format has."""
    return delivery_tasks.receiver("1", "Chat", "https://chat.example/", "{}", NeededSecrets(), name).policy


@pytest.mark.parametrize("name", ["json", "template", "teams", "mattermost", "ntfy", "odd"])
def test_most_formats_are_answered_as_http_says(name: str) -> None:
    assert policy_of(name) is response_policy.standard
    assert read_as(name, 200, b'{"ok":false}') == Decision(ok=True)
    assert read_as(name, 202, b"") == Decision(ok=True)
    assert read_as(name, 429, b'{"retry_after": 9}', retry_after="3") == Decision(ok=False, pause=3)


@pytest.mark.parametrize(
    ("name", "status", "body", "decision"),
    [
        *(("slack", 404, body, GONE) for body in (b"no_service", b"no_team\n", b"channel_not_found")),
        *(("slack", 403, body, GONE) for body in (b"no_active_hooks", b"channel_is_archived")),
        ("slack", 410, b"", GONE),
        ("slack", 400, b"invalid_payload", FAILED),
        ("slack", 404, b"<html>no_service", FAILED),
        ("slack", 500, b"", FAILED),
        ("slack", 200, b"ok", OK),
        ("discord", 404, b'{"message": "Unknown Webhook", "code": 10015}', GONE),
        ("discord", 200, b'{"id": "1"}', OK),
    ],
)
def test_a_chat_says_that_its_webhook_is_gone(
    name: str, status: int, body: bytes, decision: Decision
) -> None:
    assert read_as(name, status, body) == decision


@pytest.mark.parametrize(
    ("name", "body", "pause"),
    [
        ("discord", b'{"message": "slow", "retry_after": 64.57, "global": false}', 64.57),
        ("discord", b'{"retry_after": "1.5"}', 1.5),
        ("telegram", b'{"ok":false,"error_code":429,"parameters":{"retry_after":35}}', 35),
        ("discord", b'{"retry_after": 1e9}', 24 * 3600.0),
        ("discord", b'{"retry_after": 0.2}', 0.2),
    ],
)
def test_chat_services_say_in_the_body_how_long_to_wait(name: str, body: bytes, pause: float) -> None:
    assert read_as(name, 429, body) == Decision(ok=False, pause=pause)
    assert read_as(name, 429, body, retry_after="86400").pause == 86400
    assert read_as(name, 400, body).pause == 0


@pytest.mark.parametrize("name", ["discord", "telegram"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b'"x"', b"7", b"{}", b"\xff", b"[" * 16_000),
        b'{"retry_after": null, "parameters": {"retry_after": []}}',
        b'{"retry_after": NaN, "parameters": {"retry_after": -5}}',
        b'{"retry_after": Infinity, "parameters": "retry_after"}',
        b'{"retry_after": ' + b"9" * 400 + b"}",
    ],
)
def test_a_body_that_says_nothing_of_the_kind_leaves_the_header(name: str, body: bytes) -> None:
    assert read_as(name, 429, body) == Decision(ok=False)
    assert read_as(name, 429, body, retry_after="3") == Decision(ok=False, pause=3)


def test_telegram_has_a_message_when_it_says_so() -> None:
    assert read_as("telegram", 200, b' {"ok" : true,"result":{"text":"' + b"\\u0439" * 2700) == OK
    for body in (b'{"ok":false}', b"", b"<html>", b'{"ok":trueish}', b'{"result":{"ok":true}}'):
        decision = read_as("telegram", 200, body)
        assert not decision.ok
        assert decision.problem == ', but not that it is "ok"'
