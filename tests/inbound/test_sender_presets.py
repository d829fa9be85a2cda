"""Known senders: a source made from each preset proves real requests of that sender, and nothing else."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from guestbook.inbound import ingest, sender_presets, sources
from guestbook.inbound.sender_presets import PRESETS, SENDER_PRESETS
from guestbook.lib import clock, verification
from guestbook.lib.verification import Verdict
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, Unproven
from guestbook.storage.database import db
from guestbook.storage.models import Source
from tests.support import factories

KEY = "the application's secret key"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
BODY = '{"title": "Grüße", "n": 1}'.encode()
pytestmark = pytest.mark.usefixtures("any_app")

Headers = dict[str, str]


def hexed(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


def in_base64(content: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()


def standard(body: bytes, seconds: int) -> Headers:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = hmac.new(key, f"msg_1.{seconds}.".encode() + body, hashlib.sha256).digest()
    given = {"webhook-id": "msg_1", "webhook-timestamp": str(seconds)}
    return {"webhook-signature": f"v1,{base64.b64encode(signature).decode()}", **given}


def zoom(body: bytes, seconds: int) -> Headers:
    signature = hexed(f"v0:{seconds}:".encode() + body)
    return {"x-zm-signature": f"v0={signature}", "x-zm-request-timestamp": str(seconds)}


def slack(body: bytes, seconds: int) -> Headers:
    signature = hexed(f"v0:{seconds}:".encode() + body)
    return {"X-Slack-Signature": f"v0={signature}", "X-Slack-Request-Timestamp": str(seconds)}


def discord(body: bytes, seconds: int) -> Headers:
    signature = PRIVATE.sign(f"{seconds}".encode() + body).hex()
    return {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": str(seconds)}


# As each sender's documentation says it signs: the header with the signature comes first.
SIGNERS: dict[str, Callable[[bytes, int], Headers]] = {
    "github": lambda body, _: {"X-Hub-Signature-256": f"sha256={hexed(body)}"},
    "gitea": lambda body, _: {"X-Gitea-Signature": hexed(body)},
    "gitlab": lambda _body, _: {"X-Gitlab-Token": SECRET},
    "bitbucket": lambda body, _: {"X-Hub-Signature": f"sha256={hexed(body)}"},
    "guestbook": standard,
    "stripe": lambda body, at: {"Stripe-Signature": f"t={at},v1={hexed(f'{at}.'.encode() + body)}"},
    "shopify": lambda body, _: {"X-Shopify-Hmac-SHA256": in_base64(body)},
    "woocommerce": lambda body, _: {"X-WC-Webhook-Signature": in_base64(body)},
    "linear": lambda body, _: {"Linear-Signature": hexed(body)},
    "typeform": lambda body, _: {"Typeform-Signature": f"sha256={in_base64(body)}"},
    "zoom": zoom,
    "slack": slack,
    "discord": discord,
}
TIMED = {"guestbook", "stripe", "zoom", "slack", "discord"}
LISTS = {"guestbook", "stripe"}  # their header may hold several signatures


def source(name: str, **fields: Any) -> Source:
    given = {"name": name, "preset": name, "secret": PUBLIC if name == "discord" else SECRET, **fields}
    return db.session.get_one(Source, factories.written(lambda session: sources.add(session, given).id))


def received(row: Source, headers: Headers, body: bytes = BODY) -> Verdict:
    """What a pass finds out about a request that has just come, from what is stored of it."""
    found = ingest.find(db.session(), row.token)
    assert found
    packed = ingest.pack(found, {"Host": "book.example", **headers}, body, proof_key=KEY)
    assert SECRET not in str(packed.headers), "what it would take to sign is not stored"
    return row.verify_request(packed.headers, body, clock.now(), (KEY,))


def now() -> int:
    return int(clock.now().timestamp())


@pytest.mark.parametrize("name", {**SIGNERS, **SENDER_PRESETS})
def test_a_request_of_a_known_sender_is_proven_and_others_are_not(name: str) -> None:
    row = source(name)
    headers = SIGNERS[name](BODY, now())
    lead = next(iter(headers))
    value = headers[lead]
    good = received(row, headers)
    assert good.ok, good.sentence
    is_token = row.verify == "token"
    assert received(row, headers, BODY + b" ").ok == is_token
    wrong = {
        "missing": {key: text for key, text in headers.items() if key != lead},
        "empty": {**headers, lead: ""},
        "not ASCII": {**headers, lead: f"{value}é"},
        "of another body": {**SIGNERS[name](b"another", now())},
        "cut": {**headers, lead: value[:-4]},
        "garbage": {**headers, lead: "sha256=v0=v1=,,,"},
    }
    if is_token:
        del wrong["of another body"]
    for what, sent in wrong.items():
        verdict = received(row, sent)
        assert not verdict.ok, what
        assert verdict.sentence[0].isupper(), what
    assert received(row, {**headers, lead: f"{value}, {value}"}).ok == (name in LISTS)


@pytest.mark.parametrize("name", sorted(TIMED))
@pytest.mark.parametrize("age", [400, -400])
def test_an_old_signature_of_a_sender_who_signs_the_time_proves_nothing(name: str, age: int) -> None:
    row = source(name)
    verdict = received(row, SIGNERS[name](BODY, now() - age))
    assert not verdict.ok
    assert "The timestamp is wrong" in verdict.sentence


@pytest.mark.parametrize("name", SENDER_PRESETS)
def test_the_book_signs_as_the_sender_does(name: str) -> None:
    preset, key = SENDER_PRESETS[name], PUBLIC if name == "discord" else SECRET
    settings = sender_presets.settings_of(name)
    scheme = Source(verify=preset.verify, header=preset.header, scheme=settings).signature_scheme
    given = {"event_id": "msg_1", "seconds": now(), "header": preset.header, "scheme": scheme}
    if name == "discord":
        with pytest.raises(Unproven, match="only its sender has the private key"):
            verification.sign_request(preset.verify, key, BODY, **given)
        return
    made = verification.sign_request(preset.verify, key, BODY, **given)
    expected = SIGNERS[name](BODY, given["seconds"])
    lower, expected_lower = ({key.lower(): one[key] for key in one} for one in (made, expected))
    assert lower == expected_lower


@pytest.mark.parametrize("verify", VERIFICATION_KINDS)
def test_the_book_signs_for_every_kind_or_says_why_not(verify: str) -> None:
    scheme = Source(verify=verify, header="X-Sign").signature_scheme
    given = {"event_id": "msg_1", "seconds": now(), "header": "X-Sign", "scheme": scheme}
    if verify == "ed25519":
        assert verification.hindrance(verify, PUBLIC)
    else:
        assert bool(verification.sign_request(verify, SECRET, BODY, **given)) == (verify != "none")
    with pytest.raises(Unproven, match="does not know how this sender signs"):
        verification.sign_request("fax", SECRET, BODY, **given | {"scheme": None})
    with pytest.raises(Unproven, match="has no secret to sign with"):
        verification.sign_request("github", None, BODY, **given)


@pytest.mark.parametrize("name", SENDER_PRESETS)
def test_a_preset_brings_the_template_that_fits(name: str) -> None:
    template = SENDER_PRESETS[name].template
    own = {} if template else {"template": "{{ payload.title }}"}
    row = source(name, action="comment", **own)
    assert row.template == PRESETS.get(template, "{{ payload.title }}")


def test_a_preset_leaves_the_owners_template_alone_and_replaces_a_ready_made_one() -> None:
    row_id = source("github", action="comment").id

    def template_after(**fields: Any) -> str | None:
        factories.written(lambda session: sources.update(session, session.get_one(Source, row_id), fields))
        db.session.expire_all()
        return db.session.get_one(Source, row_id).template

    assert template_after(preset="gitlab") == PRESETS["gitlab"]
    assert template_after(template="{{ payload.mine }}") == "{{ payload.mine }}"
    assert template_after(preset="gitea") == "{{ payload.mine }}"


def test_a_corrected_header_verifies_what_came_before() -> None:
    """Headers that may carry a signature are stored whatever the source says."""
    row = source("linear", header="Lunar-Signature")
    found = ingest.find(db.session(), row.token)
    assert found
    packed = ingest.pack(found, SIGNERS["linear"](BODY, now()), BODY, proof_key=KEY)
    verdict = row.verify_request(packed.headers, BODY, clock.now(), (KEY,))
    assert verdict.sentence.startswith("There is no header Lunar-Signature.")
    row.header = "Linear-Signature"
    assert row.verify_request(packed.headers, BODY, clock.now() + timedelta(days=1), (KEY,)).ok
