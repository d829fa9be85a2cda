"""Known senders: a source made from each preset proves real requests of that sender, and nothing else."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from urllib3 import encode_multipart_formdata

from guestbook.inbound import ingest, sender_presets, sources
from guestbook.inbound.sender_presets import PRESETS, SENDER_PRESETS
from guestbook.lib import clock, verification
from guestbook.lib.errors import Refused
from guestbook.lib.verification import Verdict
from guestbook.lib.verification.kinds import URL, VERIFICATION_KINDS, Unproven
from guestbook.storage.database import db
from guestbook.storage.models import Source
from tests.support import factories

KEY = "the application's secret key"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
P256 = derive_private_key(7, SECP256R1())
P256_PUBLIC = base64.b64encode(
    P256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
BODY = '{"title": "Grüße", "n": 1}'.encode()
pytestmark = pytest.mark.usefixtures("any_app")

Headers = dict[str, str]


def url_for(body: bytes) -> str:
    """The URL to which Twilio sends a body that is no form."""
    return f"https://book.example/hooks/token?bodySHA256={hashlib.sha256(body).hexdigest()}"


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


def paddle(body: bytes, seconds: int) -> Headers:
    return {"Paddle-Signature": f"ts={seconds};h1={hexed(f'{seconds}:'.encode() + body)}"}


def twilio(body: bytes, _seconds: int) -> Headers:
    signature = hmac.new(SECRET.encode(), url_for(body).encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(signature).decode()}


def sendgrid(body: bytes, seconds: int) -> Headers:
    signature = P256.sign(f"{seconds}".encode() + body, ECDSA(SHA256()))
    name = "X-Twilio-Email-Event-Webhook"
    return {f"{name}-Signature": base64.b64encode(signature).decode(), f"{name}-Timestamp": str(seconds)}


def twitch(body: bytes, seconds: int) -> Headers:
    date = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.634234626Z")
    name, new_id = "Twitch-Eventsub-Message", hashlib.md5(body, usedforsecurity=False).hexdigest()
    signature = hexed(f"{new_id}{date}".encode() + body)
    return {f"{name}-Signature": f"sha256={signature}", f"{name}-Id": new_id, f"{name}-Timestamp": date}


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
    "paddle": paddle,
    "twilio": twilio,
    "sendgrid": sendgrid,
    "square": lambda body, _: {"X-Square-HmacSha256-Signature": in_base64(url_for(BODY).encode() + body)},
    "dropbox": lambda body, _: {"X-Dropbox-Signature": hexed(body)},
    "twitch": twitch,
    "websub": lambda body, _: {
        "X-Hub-Signature": f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}"
    },
}
IN_BODY = {"mailgun", "microsoft-graph"}  # what proves them stands in the body
KEYS = {"discord": PUBLIC, "sendgrid": P256_PUBLIC}
TIMED = {"guestbook", "stripe", "zoom", "slack", "discord", "paddle", "sendgrid", "twitch"}
LISTS = {"guestbook", "stripe", "paddle"}  # their header may hold several signatures


def source(name: str, **fields: Any) -> Source:
    given = {"name": name, "preset": name, "secret": KEYS.get(name, SECRET), **fields}
    return db.session.get_one(Source, factories.written(lambda session: sources.add(session, given).id))


def received(row: Source, headers: Headers, body: bytes = BODY) -> Verdict:
    """What a pass finds out about a request that has just come, from what is stored of it."""
    found = ingest.find(db.session(), row.token)
    assert found
    sent = {"Host": "book.example", **headers, URL: url_for(BODY)}
    packed = ingest.pack(found, sent, body, proof_key=KEY)
    assert SECRET not in str(packed.headers), "what it would take to sign is not stored"
    assert (URL in packed.headers) == (row.name in ("twilio", "square"))
    return row.verify_request(packed.headers, body, clock.now(), (KEY,))


def now() -> int:
    return int(clock.now().timestamp())


@pytest.mark.parametrize("name", [name for name in SENDER_PRESETS if name not in IN_BODY])
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
@pytest.mark.parametrize("age", [700, -700])
def test_an_old_signature_of_a_sender_who_signs_the_time_proves_nothing(name: str, age: int) -> None:
    row = source(name)
    verdict = received(row, SIGNERS[name](BODY, now() - age))
    assert not verdict.ok
    assert "The timestamp is wrong" in verdict.sentence


@pytest.mark.parametrize("name", SENDER_PRESETS)
def test_the_book_signs_as_the_sender_does(name: str) -> None:
    preset, key = SENDER_PRESETS[name], KEYS.get(name, SECRET)
    settings = sender_presets.settings_of(name)
    scheme = Source(verify=preset.verify, header=preset.header, scheme=settings).signature_scheme
    given = {"event_id": "msg_1", "seconds": now(), "header": preset.header, "scheme": scheme}
    if name in {*KEYS, *IN_BODY, "twilio", "square", "twitch"}:
        with pytest.raises(Unproven, match="Let the sender send a test"):
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


def mailgun(seconds: int, **more: str) -> dict[str, str]:
    return {
        "timestamp": str(seconds),
        "token": "a8ce0edb",
        "signature": hexed(f"{seconds}a8ce0edb".encode()),
        **more,
    }


def test_mailgun_is_proven_by_what_stands_in_the_body_and_a_replay_is_the_same() -> None:
    row, sent = source("mailgun"), mailgun(now())
    verdicts = [received(row, {}, json.dumps({"signature": sent, "n": n}).encode()) for n in (1, 2)]
    assert verdicts[0].ok
    assert verdicts[0].mark == verdicts[1].mark is not None
    for wrong in ({"token": "b"}, {"timestamp": str(now() - 1)}, {"timestamp": ""}, {"signature": ""}):
        assert not received(row, {}, json.dumps({"signature": {**sent, **wrong}}).encode()).ok, wrong
    assert not received(row, {}, json.dumps({"signature": mailgun(now() - 400)}).encode()).ok
    for body in (
        b"",
        b"[",
        b"[" * 100_000,
        b"[]",
        b"5",
        b'{"signature": [5]}',
        b'{"signature": {"signature": 5}}',
    ):
        assert received(row, {}, body).sentence.startswith("The body has no text in signature.signature")


def test_mailgun_s_routes_send_the_same_in_a_form() -> None:
    fields = {"header": "body.signature", "timestamp_header": "body.timestamp"}
    row, sent = source("mailgun", **fields), mailgun(now(), subject="Grüße")
    form = "application/x-www-form-urlencoded"
    assert received(row, {"Content-Type": form}, urlencode(sent).encode()).ok
    assert not received(row, {"Content-Type": form}, urlencode({**sent, "token": "b"}).encode()).ok
    body, with_files = encode_multipart_formdata({**sent, "attachment-1": ("a.txt", b"words")})
    assert received(row, {"Content-Type": with_files}, body).ok
    assert not received(row, {"Content-Type": "multipart/form-data"}, body).ok


def test_microsoft_graph_is_proven_by_the_client_state_of_each_notification() -> None:
    row = source("microsoft-graph")

    def is_proven(*states: object) -> bool:
        return received(row, {}, json.dumps({"value": [{"clientState": one} for one in states]}).encode()).ok

    assert is_proven(SECRET)
    assert is_proven(SECRET, SECRET)
    assert not any(map(is_proven, ("x", None, 5, [SECRET], "")))
    assert not any((is_proven(), is_proven(SECRET, "x"), is_proven("x", SECRET), is_proven(SECRET, None)))
    assert not received(row, {"body.value.clientState": SECRET}, b"{}").ok


@pytest.mark.parametrize("name", SIGNERS)
def test_a_pasted_request_is_known_by_its_headers(name: str) -> None:
    lines = [f"{key}: {value}" for key, value in SIGNERS[name](BODY, now()).items()]
    for mark in ("", "> "):
        pasted = "\r\n".join(mark + line for line in ["POST /hooks/x HTTP/1.1", "Host: book.example", *lines])
        assert name in sender_presets.fitting(f"{pasted}\r\n\r\n{BODY.decode()}")
        assert sender_presets.fitting(pasted)[0] in (name, "bitbucket")


def test_a_pasted_body_is_known_too_and_anything_else_is_refused() -> None:
    assert sender_presets.fitting(json.dumps({"signature": mailgun(1)}, indent=1)) == ["mailgun"]
    assert sender_presets.fitting('{"value": [{"clientState": "s"}]}') == ["microsoft-graph"]
    assert sender_presets.fitting("X-Hub-Signature: sha1=00") == ["websub"]
    assert sender_presets.fitting("X-Hub-Signature: sha256=00") == ["bitbucket"]
    for other in (
        "",
        "\udfff",
        "{",
        "X-Signature: 00",
        "Paddle-Signature: t=1",
        "X-Twilio-Signature:",
        "\n\n\n",
    ):
        with pytest.raises(Refused, match="No preset fits this request"):
            sender_presets.fitting(other)
