"""One attempt at a real receiver: the request, and the record of the answer."""

import base64
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from guestbook.lib import VERSION, clock, signatures
from guestbook.lib.current_process import MEMORY_LIMIT
from guestbook.lib.verification import kinds
from guestbook.outbound import attempt_sender, delivery_tasks
from guestbook.outbound.attempt_sender import Sender
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.storage.models.delivery import NeededSecrets
from guestbook.transport.http_request_and_redirects import Transport
from tests.support.receiver import Answer, Receiver, Request

SECRET, OLD_SECRET = signatures.new_secret(), signatures.new_secret()
KEY, OLD_KEY = signatures.new_key(), signatures.new_key()
LIMIT = 16 * 1024
STORED = "the webhook's stored"


@pytest.fixture
def send(receiver: Receiver) -> Iterator["Send"]:
    transport = Transport(timeout=3, allow_networks=(ip_network("127.0.0.0/8"),))
    settings: Any = SimpleNamespace(timeout=3, base_url="https://book.example", smtp_url=None, mail_from=None)
    yield Send(Sender(transport, settings), receiver)
    transport.close()


class Send:
    """Make an attempt with some of its values changed."""

    def __init__(self, one: Sender, receiver: Receiver) -> None:
        self.one, self.receiver = one, receiver

    def __call__(self, **values: Any) -> Outcome:
        row = {"url": self.receiver.url("/hook"), "headers": "{}", "format_name": "json"}
        row |= {"key_only": False, "github_headers": False}
        row |= {name: values.pop(name) for name in list(values) if name in row}
        secrets = {"secret": SECRET} | {
            name: values.pop(name) for name in NeededSecrets._fields if name in values
        }
        receiver = delivery_tasks.receiver("3" * 32, "chat", needed=NeededSecrets(**secrets), **row)
        task = {
            "id": "1" * 32, "event_id": "2" * 32, "event": "comment.created", "body": b'{"type":"x"}',
            "version": "2026-12-01", "attempts": 0, "schedule_start": 0, "due_at": clock.now(), "token": "me",
            "lease_end": time.monotonic() + 60, "receiver": receiver, **values,
        }  # fmt: skip
        return self.one.attempt(DeliveryTask(**task))

    def answered(self, answer: Answer, **values: Any) -> Outcome:
        self.receiver.answer("/hook", answer)
        return self(**values)


def test_the_receiver_gets_what_the_contract_says(send: Send, receiver: Receiver) -> None:
    outcome = send(attempts=2)
    [request] = receiver.requests
    headers = request.headers
    assert (request.method, request.body) == ("POST", b'{"type":"x"}')
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"guestbook/{VERSION} (+https://book.example)"
    assert (headers["x-guestbook-event"], headers["x-guestbook-attempt"]) == ("comment.created", "3")
    assert headers["x-guestbook-version"] == outcome.request_headers["X-Guestbook-Version"] == "2026-12-01"
    assert headers["webhook-id"] == "2" * 32
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    assert headers["x-hub-signature-256"] == signatures.hub(SECRET.encode(), request.body)
    assert (outcome.ok, outcome.status_code, outcome.error, outcome.response_body) == (True, 200, None, "ok")


def test_a_thread_without_memory_gives_the_delivery_back(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise MemoryError

    for name, values in (("_why", {"url": "http://127.0.0.1:1/"}), ("_post", {})):
        monkeypatch.setattr(Sender, name, refuse)
        outcome = send(**values)
        assert (outcome.started_at, outcome.host_limit) == (None, MEMORY_LIMIT)


def verified(request: Request, key: str) -> list[bool]:
    """Whether a key pair's public key verifies each signature of version 1a."""
    listed = [one.partition(",") for one in request.headers["webhook-signature"].split(" ")]
    content = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    )
    public = kinds.read_public_key(signatures.public_key(key))
    return [
        signatures.verify_with_key(public, content, base64.b64decode(value))
        for kind, _, value in listed
        if kind == "v1a"
    ]


def test_a_key_signs_beside_the_secret(send: Send, receiver: Receiver) -> None:
    outcome = send(signing_key=KEY)
    [request] = receiver.requests
    Verifier(SECRET).verify(request.body, request.headers)
    assert verified(request, KEY) == [True]
    assert verified(request, OLD_KEY) == [False]
    assert request.headers["x-hub-signature-256"] == signatures.hub(SECRET.encode(), request.body)
    assert not [name for name in outcome.request_headers if "signature" in name.lower()]


def test_where_a_key_signs_alone_the_secret_verifies_nothing(send: Send, receiver: Receiver) -> None:
    send(signing_key=KEY, key_only=True)
    [request] = receiver.requests
    assert verified(request, KEY) == [True]
    assert request.headers["webhook-signature"].count(",") == 1
    assert "x-hub-signature-256" not in request.headers
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body, request.headers)


def test_while_a_rotated_key_is_valid_both_keys_sign(send: Send, receiver: Receiver) -> None:
    send(signing_key=KEY, previous_signing_key=OLD_KEY, previous_secret=OLD_SECRET)
    [request] = receiver.requests
    assert verified(request, KEY) == [True, False]
    assert verified(request, OLD_KEY) == [False, True]
    assert len(request.headers["webhook-signature"].split(" ")) == 4


def test_a_secret_that_is_a_text_signs_in_both_schemes(send: Send, receiver: Receiver) -> None:
    text = "It's a Secret to Everybody"
    send(secret=text)
    [request] = receiver.requests
    assert request.headers["x-hub-signature-256"] == signatures.hub(text.encode(), request.body)
    Verifier(signatures.standard_form(text)).verify(request.body, request.headers)


def test_githubs_headers_come_where_they_are_wanted(send: Send, receiver: Receiver) -> None:
    send()
    outcome = send(github_headers=True, id="0123456789abcdef0123456789abcdef", attempts=3)
    plain, request = receiver.requests
    assert not [name for name in plain.headers if name.startswith("x-github")]
    sent = {name: value for name, value in request.headers.items() if name.startswith("x-github")}
    assert sent == {
        "x-github-event": "comment.created",
        "x-github-delivery": "01234567-89ab-cdef-0123-456789abcdef",
        "x-github-hook-id": "3" * 32,
    }
    assert request.headers["x-hub-signature-256"] == signatures.hub(SECRET.encode(), request.body)
    assert outcome.request_headers["X-GitHub-Event"] == "comment.created"


def test_without_the_package_for_keys_nothing_is_sent_and_the_attempt_says_why(
    send: Send, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    outcome = send(signing_key=KEY)
    assert receiver.requests == []
    assert (outcome.error or "").startswith(
        "Nothing was sent: the package for signing with a key is missing. Install it with: "
    )


def test_its_own_headers_are_sent_and_their_values_not_written_down(send: Send, receiver: Receiver) -> None:
    outcome = send(headers='{"Authorization": "Bearer hunter2", "X-Number": 7}')
    [request] = receiver.requests
    assert (request.headers["authorization"], request.headers["x-number"]) == ("Bearer hunter2", "7")
    shown = outcome.request_headers
    assert (shown["Authorization"], shown["X-Number"]) == ("(hidden)", "(hidden)")
    assert "hunter2" not in str(shown)
    assert not [name for name in shown if "signature" in name.lower()]
    assert shown["webhook-id"] == "2" * 32


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503])
def test_everything_else_is_a_failure_with_a_sentence(send: Send, receiver: Receiver, status: int) -> None:
    outcome = send.answered(Answer(status, headers={"Location": receiver.url("/elsewhere")}))
    assert not outcome.ok
    assert (outcome.status_code, outcome.unreachable) == (status, False)
    assert outcome.error == f"The receiver answered {status}."
    assert outcome.response_headers
    assert outcome.response_headers["Location"] == receiver.url("/elsewhere")
    assert receiver.at("/elsewhere") == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        *(({"url": url}, "The URL cannot be used.") for url in ("nonsense", "http://[::1/", "")),
        *(
            ({"headers": one}, f"{STORED} headers are not a JSON")
            for one in ("nonsense", "[]", "[" * 100_000)
        ),
        ({"headers": '{"X": "a\\r\\nHost: b"}'}, "A header cannot be sent."),
        ({"headers": '{"X Y": "a"}'}, "A header cannot be sent."),
        ({"headers": '{"X": "ключ"}'}, "A header cannot be sent."),
        ({"headers": '{"Content-Length": "1"}'}, "A header cannot be sent."),
        *(({"secret": secret}, f"{STORED} secret is not whsec_") for secret in ("hunter2", "whsec_ключ")),
        ({"previous_secret": "hunter2"}, f"{STORED} secret is not whsec_"),
        ({"signing_key": "hunter2"}, f"{STORED} signing key is not a private key."),
        ({"signing_key": KEY, "previous_signing_key": "x"}, f"{STORED} signing key is not a"),
    ],
)
def test_a_poisoned_row_is_that_attempts_outcome(
    send: Send, receiver: Receiver, values: dict[str, Any], sentence: str
) -> None:
    outcome = send(**values)
    assert not outcome.ok
    assert outcome.started_at is not None
    assert outcome.error
    assert sentence in outcome.error
    assert "hunter2" not in outcome.error
    assert len(outcome.error) <= 300
    assert receiver.requests == []
    assert send().ok


@pytest.mark.parametrize(("left", "by_clock", "is_sent"), [
    (60, 60, True),
    (4.9, 60, False),
    (60, 4.9, False),
    (60, 60 + attempt_sender.SET_BACK - 1, True),
    (60, 60 + attempt_sender.SET_BACK + 1, False),
])  # fmt: skip
def test_a_lease_that_is_too_short_by_one_of_two_clocks_or_longer_than_it_was_sends_nothing(
    send: Send, receiver: Receiver, left: float, by_clock: float, is_sent: bool
) -> None:
    assert left in (60, 3 + attempt_sender.MARGIN - 0.1)
    until = clock.now() + timedelta(seconds=by_clock)
    outcome = send(lease_end=time.monotonic() + left, leased_until=until)
    assert (outcome.started_at is not None, outcome.ok, outcome.error) == (is_sent, is_sent, None)
    assert len(receiver.requests) == is_sent


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (b"", ""),
        ("Grüße 🎈\n\x1b[31m".encode(), "Grüße 🎈\n\x1b[31m"),
        (b"a\0b", "(binary, 3 bytes, begins 61 00 62)"),
        (b"\xff\xfe\xfd", "(binary, 3 bytes, begins ff fe fd)"),
        (b"\xffabc", "(binary, 4 bytes, begins ff 61 62 63)"),
        (b"\xf0\x9f\x98", "(binary, 3 bytes, begins f0 9f 98)"),  # a character that is not whole
        (b"x" * LIMIT, "x" * LIMIT),
        (b"x" * (LIMIT + 9), "x" * LIMIT),
        (b"x" * (LIMIT - 2) + "🎈".encode(), "x" * (LIMIT - 2)),
    ],
)
def test_an_answer_is_stored_as_text_or_marked_binary_and_never_beyond_16_kib(
    send: Send, body: bytes, stored: str
) -> None:
    outcome = send.answered(Answer(body=body))
    assert outcome.ok
    assert outcome.response_body == stored
    assert len(outcome.response_body.encode()) <= LIMIT


def test_an_answer_that_is_cut_is_a_success_with_a_note(send: Send) -> None:
    outcome = send.answered(Answer(body=b"x" * 3 * LIMIT))
    assert outcome.ok
    assert outcome.error == "Delivered; the rest of the answer was left unread (body_cut)."


def test_headers_of_an_answer_are_stored_without_controls(send: Send) -> None:
    outcome = send.answered(Answer(headers={"X-A": "a\x1b[31m\x9b\0b", "X\x01B": "é"}))
    assert outcome.response_headers
    assert outcome.response_headers["X-A"] == "a [31m  b"
    assert outcome.response_headers["X B"] == "é"
