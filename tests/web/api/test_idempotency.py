"""A POST that is repeated with its Idempotency-Key gets the first answer, and nothing is done again."""

import base64
import threading
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.lib import clock, encryption
from guestbook.storage import engines
from guestbook.storage.models import IdempotencyKey, Webhook
from guestbook.web.api import idempotency
from guestbook.web.api.openapi import CALLS
from tests.conftest import running
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.owner import PASSWORD, Owner
from tests.support.receiver_person import add_link

URL = "https://receiver.example/hook"
COMMENT = {"name": "Ada", "message": "Hello"}
LONG_AGO = "2020-01-31T00:00:00Z"
BODIES: dict[str, Any] = {
    "POST /comments": COMMENT,
    "POST /moderate": {"ids": ["COMMENT"], "action": "hold"},
    "POST /webhooks": {"url": URL},
    "POST /webhooks/{webhook_id}/test": None,
    "POST /webhooks/{webhook_id}/rotate-secret": {"overlap_hours": 1},
    "POST /webhooks/{webhook_id}/rotate-key": None,
    "POST /webhooks/{webhook_id}/reveal-secret": {"password": PASSWORD},
    "POST /webhooks/{webhook_id}/receiver-links/{link_id}/revoke": None,
    "POST /webhooks/{pulled_id}/commit": {"token": "0" * 32, "results": [{"id": "0" * 32, "ok": True}]},
    "POST /sources": {"name": "Another robot", "verify": "github"},
    "POST /sources/{source_id}/rotate-secret": None,
    "POST /sources/{source_id}/reveal-secret": {"password": PASSWORD},
    "POST /bins": {},
    "POST /deliveries/{delivery_id}/redeliver": None,
    "POST /inbox/{event_id}/reprocess": None,
    "POST /spam/end-flood": None,
    "POST /spam/forget": None,
}
# They store nothing, or work in several transactions, which may be repeated. Their answer is stored last.
LATE: dict[str, Any] = {
    "POST /previews/webhook": {"url": URL},
    "POST /previews/source": {"verify": "github"},
    "POST /redeliver": {"failed": True, "dry_run": True},
    "POST /reprocess": {"failed": True},
    "POST /webhooks/{webhook_id}/backfill": {"since": LONG_AGO},
    "POST /sources/{source_id}/test": None,
}
CALLS_OUT = {"POST /bins/{bin_id}/requests/{request_id}/replay"}  # another server answers first


def repeat(program: ApiClient, path: str, body: object = None, key: str = "one") -> TestResponse:
    return program.ask("POST", path, body, headers={"Idempotency-Key": f'"{key}"'})


@pytest.fixture
def rows(app: Flask) -> dict[str, str]:
    """Ids for the paths."""
    Owner(app)  # which sets the password
    webhook_id = factories.webhook(secret="whsec_" + "A" * 32)
    source_id = factories.source(verify="github", secret="s" * 24)
    return {
        "webhook_id": webhook_id,
        "link_id": add_link(webhook_id)[0],
        "pulled_id": factories.webhook("pull:"),
        "source_id": source_id,
        "delivery_id": factories.delivery(webhook_id, status="failed"),
        "event_id": factories.inbound(source_id, status="failed", due_at=None),
        "comment_id": factories.sign(),
    }


def test_every_post_answers_a_repeat_as_before_and_most_store_the_answer_with_the_effect(
    program: ApiClient, rows: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program.patch(f"/webhooks/{rows['webhook_id']}", {"sign_with": "both"})
    samples = {address: (body, False) for address, body in BODIES.items()}
    samples |= {address: (body, True) for address, body in LATE.items()}
    assert {one.replace("pulled_id", "webhook_id") for one in samples} | CALLS_OUT == {
        address for address in CALLS if address.startswith("POST ")
    }
    for number, (address, (body, is_late)) in enumerate(samples.items()):
        path = address.removeprefix("POST ").format(**rows)
        if address == "POST /moderate":
            body = body | {"ids": [rows["comment_id"]]}
        with monkeypatch.context() as patched:
            if not is_late:
                patched.setattr(idempotency, "writing", None)  # A later transaction would fail.
            first = repeat(program, path, body, str(number))
        assert first.status_code < 300, (address, first.text)
        again = repeat(program, path, body, str(number))
        assert (again.status_code, again.data) == (first.status_code, first.data), address
        assert again.headers.get("Location") == first.headers.get("Location")
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"


def test_a_key_belongs_to_one_request(program: ApiClient) -> None:
    first = repeat(program, "/webhooks", {"url": URL})
    other = repeat(program, "/webhooks", {"url": f"{URL}/2"})
    assert (first.status_code, other.status_code) == (201, 422)
    assert other.get_json()["error"]["message"] == idempotency.OTHER_REQUEST
    assert repeat(program, "/bins", {}).status_code == 422
    assert repeat(program, "/webhooks", {"url": URL}).data == first.data
    assert len(program.get("/webhooks")["webhooks"]) == 1


def test_quotes_make_no_other_key(program: ApiClient) -> None:
    first = repeat(program, "/bins", {})
    assert program.ask("POST", "/bins", {}, headers={"Idempotency-Key": "one"}).data == first.data


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e9", "a\tb"])
def test_a_key_of_a_wrong_form_is_refused(program: ApiClient, key: str) -> None:
    answer = program.ask("POST", "/bins", {}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"] == idempotency.BAD_KEY
    assert program.get("/bins")["bins"] == []


def test_keys_of_two_tokens_are_two(app: Flask, program: ApiClient) -> None:
    first = repeat(program, "/bins", {})
    second = repeat(ApiClient(app, new_token("another")), "/bins", {})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data != second.data


def test_strangers_have_the_keys_of_their_network(anybody: ApiClient) -> None:
    def send(address: str) -> TestResponse:
        key = {"Idempotency-Key": "one"}
        return anybody.ask("POST", "/comments", COMMENT, headers=key, environ_base={"REMOTE_ADDR": address})

    first, again, other = send("192.0.2.1"), send("192.0.2.1"), send("198.51.100.1")
    assert first.data == again.data != other.data
    assert len(factories.comments()) == 2


def test_a_refused_request_is_not_stored_and_its_key_stays_free(program: ApiClient) -> None:
    assert repeat(program, "/webhooks", {"url": "ftp://x"}).status_code == 422
    assert factories.rows(IdempotencyKey) == []
    assert repeat(program, "/webhooks", {"url": URL}).status_code == 201


def test_effect_and_answer_are_one(app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_sealed", lambda *_: 1 / 0)
        assert repeat(program, "/webhooks", {"url": URL}).status_code == 500
        assert repeat(program, "/comments", COMMENT, "two").status_code == 500
    assert [*factories.rows(Webhook), *factories.comments()] == []
    assert repeat(program, "/webhooks", {"url": URL}).status_code == 201


def test_a_faster_process_answers(each_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with running(each_environ) as app:
        program = ApiClient(app, new_token())
        first = repeat(program, "/webhooks", {"url": URL})
        look = idempotency._first_answer
        answers = iter([None])
        monkeypatch.setattr(idempotency, "_first_answer", lambda mine: next(answers, look(mine)))
        again = repeat(program, "/webhooks", {"url": URL})
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert len(program.get("/webhooks")["webhooks"]) == 1


def test_a_repeat_meanwhile_gets_409(app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    sealed = idempotency._sealed

    def slow(*given: Any) -> str:
        begun.set()
        assert go_on.wait(20)
        return sealed(*given)

    monkeypatch.setattr(idempotency, "_sealed", slow)
    answers: list[TestResponse] = []
    sender = threading.Thread(target=lambda: answers.append(repeat(program, "/bins", {})))
    sender.start()
    assert begun.wait(20)
    other = ApiClient(app)
    other.headers = program.headers
    during = repeat(other, "/bins", {})
    go_on.set()
    sender.join()
    assert (during.status_code, during.get_json()["error"]["code"]) == (409, "conflict")
    assert repeat(other, "/bins", {}).data == answers[0].data
    assert not idempotency._running


@pytest.mark.parametrize("step", ["_repeatable", "_first_answer"])
def test_a_request_that_ends_while_its_repeat_begins_is_not_done_twice(
    app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = f"/sources/{factories.source()}/test"  # works in several transactions
    program.get("/inbox")  # the first use of a token is noted, and a later one only read
    other = ApiClient(app)
    other.headers = program.headers
    answers: list[TestResponse] = []
    real = getattr(idempotency, step)

    def meanwhile(given: Any) -> Any:
        monkeypatch.setattr(idempotency, step, real)
        found = real(given) if step == "_first_answer" else None
        sender = threading.Thread(target=lambda: answers.append(repeat(other, path)))
        sender.start()
        sender.join()
        return found if step == "_first_answer" else real(given)

    monkeypatch.setattr(idempotency, step, meanwhile)
    answers.append(repeat(program, path))
    assert sorted(one.status_code for one in answers) in ([202, 202], [202, 409])
    assert len(program.get("/inbox")["inbound_events"]) == 1


def test_a_request_needs_one_connection(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    options, one = engines.options, {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    monkeypatch.setattr(engines, "options", lambda read: options(read) | one)
    with running(environ) as app:
        body, key = {"name": "Ada", "message": "Hello"}, {"Idempotency-Key": "k" * 20}
        assert ApiClient(app).ask("POST", "/comments", body, headers=key).status_code == 201


def test_the_database_alone_shows_no_answer_anywhere(
    program: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "has_package", lambda: False)
    first = repeat(program, "/webhooks", {"url": URL})
    [row] = factories.rows(IdempotencyKey)
    assert first.get_json()["secret"] not in row.answer
    for hidden in (b"receiver.example", first.data):
        assert hidden not in base64.b64decode(row.answer)
    assert clock.now() >= row.created_at
    assert repeat(program, "/webhooks", {"url": URL}).data == first.data


def test_a_stored_answer_that_was_changed_is_not_read(program: ApiClient) -> None:
    assert repeat(program, "/comments", COMMENT).status_code == 201
    [row] = factories.rows(IdempotencyKey)
    sealed = bytearray(base64.b64decode(row.answer))
    sealed[-1] ^= 1
    factories.alter(IdempotencyKey, row.id, answer=base64.b64encode(sealed).decode())
    again = repeat(program, "/comments", COMMENT)
    assert (again.status_code, again.get_json()["error"]["code"]) == (409, "conflict")
