"""Signatures of others: the published vectors, everything hostile, and always as of the receipt."""

import base64
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from guestbook.lib import signatures
from guestbook.lib.verification import Verdict, kinds, proof, sign_request, verify
from guestbook.lib.verification.kinds import VERIFICATION_KINDS

MOMENT = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)  # 1614265330, as in the vector
SECONDS = 1614265330
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
STANDARD = {"webhook-id": ID, "webhook-timestamp": str(SECONDS), "webhook-signature": SIGNATURE}

HUB_SECRET, HUB_BODY = "It's a Secret to Everybody", b"Hello, World!"
HUB = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
KEY = "the application's secret key"


def hexed(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, "sha256").hexdigest()


def stripe_header(secret: str, body: bytes, seconds: int | str = SECONDS) -> str:
    return f"t={seconds},v1={hexed(secret, f'{seconds}.'.encode() + body)},v0=6ffbb59b2300aae63f27240606"


def slack_headers(secret: str, body: bytes, seconds: int | str = SECONDS) -> dict[str, str]:
    signature = "v0=" + hexed(secret, f"v0:{seconds}:".encode() + body)
    return {"x-slack-signature": signature, "x-slack-request-timestamp": str(seconds)}


def good(kind: str) -> tuple[str, dict[str, str], bytes]:
    """A secret, the headers and the body of a request that is proven at MOMENT."""
    slack = "8f742231b10e8888abcd99yyyzzz85a5"
    return {
        "github": (HUB_SECRET, {"x-hub-signature-256": HUB}, HUB_BODY),
        "standard": (SECRET, dict(STANDARD), BODY),
        "stripe": ("whsec_abc", {"stripe-signature": stripe_header("whsec_abc", BODY)}, BODY),
        "slack": (slack, slack_headers(slack, BODY), BODY),
        "token": ("open sesame", {"x-webhook-token": proof("open sesame", KEY)}, BODY),
    }[kind]


def verified(kind: str, secret: str, headers: Mapping[str, str], body: bytes) -> Verdict:
    return verify(kind, (secret,), headers, body, MOMENT, proof_keys=(KEY,))


SIGNED = tuple(name for name, kind in VERIFICATION_KINDS.items() if kind.header)
TIMED = ("standard", "stripe", "slack")
PROVING = (*SIGNED, "token")
LEAD = {name: VERIFICATION_KINDS[name].header.lower() for name in SIGNED} | {"token": "x-webhook-token"}


@pytest.mark.parametrize("kind", PROVING)
def test_a_good_signature_is_proven_and_another_secret_or_one_byte_more_proves_nothing(kind: str) -> None:
    secret, headers, body = good(kind)
    verdict = verified(kind, secret, headers, body)
    assert verdict.ok
    assert "the current secret" in verdict.sentence
    verdict = verified(kind, SECRET[:-4] + "AAAA", headers, body)
    assert not verdict.ok
    assert "not" in verdict.sentence
    assert verified(kind, secret, headers, body + b"\n").ok == (kind == "token")


@pytest.mark.parametrize("kind", PROVING)
def test_the_previous_secret_is_good_beside_the_current_one_and_the_steps_say_which(kind: str) -> None:
    secret, headers, body = good(kind)
    verdict = verify(kind, (signatures.new_secret(), secret), headers, body, MOMENT, proof_keys=(KEY,))
    assert verdict.ok
    assert "the previous secret" in verdict.sentence
    assert verdict.steps[-1].value == "the previous secret matches"


@pytest.mark.parametrize("kind", PROVING)
def test_the_explanation_holds_neither_the_secret_nor_a_signature(kind: str) -> None:
    secret, headers, body = good(kind)
    for received in (body, body + b"!"):
        verdict = verified(kind, secret, headers, received)
        said = "\n".join([verdict.sentence, *(step.value for step in verdict.steps)])
        assert secret not in said
        assert re.search(r"[0-9a-f]{32}|[A-Za-z0-9+/]{40}", said) is None
        assert {step.name for step in verdict.steps} >= {"What was signed", "Header", "Secret"}


@pytest.mark.parametrize("kind", PROVING)
def test_a_timed_request_has_a_mark_that_only_the_secret_makes_and_a_replay_has_the_same(kind: str) -> None:
    secret, headers, body = good(kind)
    verdict = verified(kind, secret, headers, body)
    assert (verdict.mark is not None) == (kind in TIMED)
    secrets = signatures.new_secret(), secret
    assert verdict.mark == verify(kind, secrets, headers, body, MOMENT, proof_keys=(KEY,)).mark
    if kind == "standard":
        assert verdict.mark == hexed(SECRET, f"replay\0{ID}.{SECONDS}.".encode() + BODY)


def test_the_steps_say_which_secrets_were_tried_and_when_it_was_signed() -> None:
    other = signatures.new_secret()
    for secrets, whose, tried in (
        ((other,), "this source's secret", "the current secret"),
        ((other, other), "either of this source's secrets", "the current secret and the previous secret"),
    ):
        verdict = verify("standard", secrets, STANDARD, BODY, MOMENT)
        why = "it is made with another, or the body changed"
        assert verdict.sentence == f"The signature in webhook-signature does not match {whose}: {why}."
        assert verdict.steps[-1].value == f"none matches; tried: {tried}"
        assert verdict.steps[-2].value == f"{SECONDS}, 0 seconds before it arrived"
    late = verify("standard", (SECRET,), STANDARD, BODY, MOMENT + timedelta(hours=1))
    assert [step.name for step in late.steps][-2:] == ["Timestamp", "Secret"]
    token = verified("token", "another", good("token")[1], b"")
    assert [step.name for step in token.steps] == ["Header", "What was signed", "Secret"]


def test_the_explanation_shows_what_was_signed_and_how_old_it_was() -> None:
    verdict = verify("standard", (SECRET,), STANDARD, BODY, MOMENT + timedelta(seconds=90))
    steps = {step.name: step.value for step in verdict.steps}
    assert steps["What was signed"] == f'{ID}.{SECONDS}.{{"test": 2432232314}} (60 bytes)'
    assert steps["Timestamp"] == f"{SECONDS}, 90 seconds before it arrived"
    assert steps["Header"] == "webhook-signature, 1 signature"
    assert steps["Id"] == ID


def test_a_long_body_is_shortened_in_the_explanation() -> None:
    body = "ü".encode() * 100_000
    verdict = verified("github", "s", {"x-hub-signature-256": signatures.hub(b"s", body)}, body)
    assert verdict.ok
    assert len(verdict.steps[0].value) < 200
    assert "(200,000 bytes)" in verdict.steps[0].value


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize(
    ("seconds", "ok"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (86400, False)]
)
def test_the_time_of_the_receipt_counts(kind: str, seconds: int, ok: bool) -> None:
    secret, headers, body = good(kind)
    verdict = verify(kind, (secret,), headers, body, MOMENT + timedelta(seconds=seconds))
    assert verdict.ok == ok
    assert ok or f"{abs(seconds):,} seconds {'before' if seconds > 0 else 'after'}" in verdict.sentence


@pytest.mark.parametrize("kind", PROVING)
@pytest.mark.parametrize("value", [None, "", "  ", "ключ", "v1,", "sha256=", "=", ",", "\ud800", "\x00"])
def test_a_missing_or_senseless_header_has_a_sentence(kind: str, value: str | None) -> None:
    secret, headers, body = good(kind)
    headers.pop(LEAD[kind]) if value is None else headers.update({LEAD[kind]: value})
    verdict = verified(kind, secret, headers, body)
    assert not verdict.ok
    assert re.fullmatch(r"[A-Z].*\S", verdict.sentence)


GARBAGE = [
    *("", "0", "-1", "9" * 14, "9" * 5000, "١٦١٤٢٦٥٣٣٠", "1614265330.0", "1e9", "+1614265330", "now"),
    *("1_614_265_330", "²", "161426533012é"),
]


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("seconds", GARBAGE)
def test_a_senseless_timestamp_is_refused_even_when_it_was_signed(kind: str, seconds: str) -> None:
    secret = {"standard": SECRET}.get(kind, "secret")
    content = f"{ID}.{seconds}.".encode() + BODY
    digest = base64.b64encode(hmac.digest(signatures.key_of(SECRET), content, "sha256")).decode()
    headers = {
        "standard": {**STANDARD, "webhook-timestamp": seconds, "webhook-signature": f"v1,{digest}"},
        "stripe": {"stripe-signature": stripe_header(secret, BODY, seconds)},
        "slack": slack_headers(secret, BODY, seconds),
    }[kind]
    assert not verified(kind, secret, headers, BODY).ok


@pytest.mark.parametrize("kind", PROVING)
def test_a_header_that_came_twice_never_raises(kind: str) -> None:
    secret, headers, body = good(kind)
    headers[LEAD[kind]] = f"{headers[LEAD[kind]]}, {headers[LEAD[kind]]}"
    verdict = verified(kind, secret, headers, body)
    assert verdict.ok == (kind in ("standard", "stripe"))  # which are lists by themselves
    assert "more than once" in verdict.sentence or kind not in ("github", "slack")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_standard_webhooks_needs_one_id_and_one_timestamp(name: str) -> None:
    twice = {**STANDARD, name: f"{STANDARD[name]}, {STANDARD[name]}"}
    assert not verified("standard", SECRET, twice, BODY).ok
    headers = {key: value for key, value in STANDARD.items() if key != name}
    assert verified("standard", SECRET, headers, BODY).sentence == f"There is no header {name}."


@pytest.mark.parametrize(
    "before_or_after", [f"v1,{'A' * 43}= {{}}", "{} v1a,xyz", "v9,abc  v2 {}", "v1,é {}", "{}, v1,AA"]
)
def test_one_good_signature_among_others_is_enough(before_or_after: str) -> None:
    assert verified("standard", SECRET, with_signature(before_or_after.format(SIGNATURE)), BODY).ok


def test_only_so_many_signatures_are_looked_at() -> None:
    for before, ok in ((63, True), (64, False), (5000, False)):
        value = " ".join(["v1,AAAA"] * before + [SIGNATURE])
        assert verified("standard", SECRET, {**STANDARD, "webhook-signature": value}, BODY).ok == ok
        header = stripe_header("s", BODY)
        stuffed = "v1=aa," * before + header
        assert verified("stripe", "s", {"stripe-signature": stuffed}, BODY).ok == (before < 60)


# The server of Svix tests with it: test_asymmetric_key_signing. The key pair's second half is the public key.
KEY_PAIR = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_" + base64.b64encode(base64.b64decode(KEY_PAIR)[32:]).decode()
OF_KEY = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def with_signature(value: str) -> dict[str, str]:
    return {**STANDARD, "webhook-signature": value}


def test_a_public_key_verifies_the_vector_of_svix() -> None:
    for value in (OF_KEY, f"{SIGNATURE} {OF_KEY}", f"v1a,AAAA v1a,! {OF_KEY}"):
        assert verified("standard", PUBLIC_KEY, with_signature(value), BODY).ok
    assert not verified("standard", PUBLIC_KEY, with_signature(OF_KEY), BODY + b"!").ok
    late = verify("standard", (PUBLIC_KEY,), with_signature(OF_KEY), BODY, MOMENT + timedelta(seconds=301))
    assert "301 seconds before it arrived" in late.sentence


def test_of_a_secret_and_a_public_key_each_has_its_own_signatures() -> None:
    both = with_signature(f"{SIGNATURE} {OF_KEY}")
    assert verified("standard", SECRET, both, BODY).ok
    for secrets in ((PUBLIC_KEY, SECRET), (SECRET, PUBLIC_KEY)):
        for value in (SIGNATURE, OF_KEY):
            assert verify("standard", secrets, with_signature(value), BODY, MOMENT).ok
    mistaken = verified("standard", SECRET, with_signature(OF_KEY), BODY)
    assert "no signature made with a secret" in mistaken.sentence
    assert "no signature for a public key" in verified("standard", PUBLIC_KEY, STANDARD, BODY).sentence
    assert "public key must have" in verified("standard", "whpk_abc", STANDARD, BODY).sentence


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_ключ", "whsec_!!!", f"{SECRET[:-4]}!{SECRET[-4:]}", "whsec_a", "пароль", "\ud800"],
)
def test_a_secret_that_is_none_of_the_standard_has_a_sentence(secret: str) -> None:
    assert "not one of Standard Webhooks" in verified("standard", secret, STANDARD, BODY).sentence


def test_an_id_with_a_dot_is_refused_because_a_part_of_the_timestamp_could_stand_in_it() -> None:
    body = f"{SECONDS}.{BODY.decode()}".encode()
    content = f"id.{SECONDS}.".encode() + body
    signature = base64.b64encode(hmac.digest(base64.b64decode(SECRET[6:]), content, "sha256")).decode()
    headers = {"webhook-id": "id", "webhook-timestamp": str(SECONDS), "webhook-signature": f"v1,{signature}"}
    assert verified("standard", SECRET, headers, body).ok
    verdict = verified("standard", SECRET, {**headers, "webhook-id": f"id.{SECONDS}"}, BODY)
    assert not verdict.ok
    assert verdict.sentence.startswith("The header webhook-id holds a dot")


def test_the_book_signs_as_the_senders_do() -> None:
    assert kinds.sign_standard(SECRET, ID, SECONDS, BODY) == STANDARD
    expected = {"Stripe-Signature": stripe_header("whsec_abc", BODY).rpartition(",")[0]}
    assert sign_request("stripe", "whsec_abc", BODY, event_id=ID, seconds=SECONDS) == expected


def test_the_headers_of_the_standard_come_before_those_of_svix() -> None:
    both = STANDARD | {"svix-id": "x", "svix-timestamp": str(SECONDS), "svix-signature": "v1,AAAA"}
    assert verified("standard", SECRET, both, BODY).ok


def test_svix_own_headers_are_read_too() -> None:
    headers = {name.replace("webhook", "svix"): value for name, value in STANDARD.items()}
    verdict = verified("standard", SECRET, headers, BODY)
    assert verdict.ok
    assert "svix-signature" in verdict.sentence


def test_sha1_alone_is_refused_with_a_reason() -> None:
    old = "sha1=" + hmac.new(HUB_SECRET.encode(), HUB_BODY, "sha1").hexdigest()
    verdict = verified("github", HUB_SECRET, {"x-hub-signature": old}, HUB_BODY)
    assert not verdict.ok
    assert "SHA-1" in verdict.sentence
    assert verified("github", HUB_SECRET, {"x-hub-signature": old, "x-hub-signature-256": HUB}, HUB_BODY).ok


def test_a_request_of_another_kind_is_named() -> None:
    for kind in SIGNED:
        for other in set(SIGNED) - {kind}:
            _, headers, body = good(other)
            said = verified(kind, "secret", headers, body).sentence.lower()
            assert f"there is no header {LEAD[kind]}. it carries {LEAD[other]}" in said


def test_stripe_takes_several_signatures_and_one_time() -> None:
    header = stripe_header("new", BODY) + "," + stripe_header("old", BODY).split(",")[1]
    assert verified("stripe", "old", {"stripe-signature": header}, BODY).ok
    assert verified("stripe", "new", {"stripe-signature": header.replace(",", " , ")}, BODY).ok
    for wrong in (
        f"{header},t=1",
        "v1=aa",
        f"t={SECONDS}",
        f"t={SECONDS},v1",
        f"t=\\1,{header.partition(',')[2]}",
    ):
        verdict = verified("stripe", "old", {"stripe-signature": wrong}, BODY)
        assert not verdict.ok
        assert (
            "one timestamp (t=…) and a signature (v1=…)" in verdict.sentence
            or "not a number" in verdict.sentence
        )


def test_the_key_of_stripe_is_the_whole_text() -> None:
    header = stripe_header(SECRET.removeprefix("whsec_"), BODY)
    assert not verified("stripe", SECRET, {"stripe-signature": header}, BODY).ok
    assert verified("stripe", SECRET, {"stripe-signature": stripe_header(SECRET, BODY)}, BODY).ok


def test_the_vector_of_slack() -> None:
    """From "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
    }
    received = datetime.fromtimestamp(1531420620, UTC)
    assert verify("slack", ("8f742231b10e8888abcd99yyyzzz85a5",), headers, body, received).ok


def test_a_token_may_have_a_header_of_its_own_name() -> None:
    headers = {"x-gitlab-token": proof("t0ken", KEY)}
    assert verify("token", ("t0ken",), headers, b"", MOMENT, header="X-Gitlab-Token", proof_keys=(KEY,)).ok
    elsewhere = verify("token", ("t0ken",), headers, b"", MOMENT, proof_keys=(KEY,))
    assert elsewhere.sentence.startswith("There is no header X-Webhook-Token.")


@pytest.mark.parametrize("value", ["t0ken", "Bearer t0ken", "bearer t0ken", "BEARER t0ken"])
def test_a_token_may_come_as_a_bearer(value: str) -> None:
    stored = {"authorization": proof(value, KEY), "x-mine": proof(value, KEY)}
    assert verify("token", ("t0ken",), stored, b"", MOMENT, header="Authorization", proof_keys=(KEY,)).ok
    other = verify("token", ("t0ken",), stored, b"", MOMENT, header="X-Mine", proof_keys=(KEY,))
    assert other.ok == (value == "t0ken")


def test_the_token_itself_is_never_what_is_stored() -> None:
    assert not verified("token", "t0ken", {"x-webhook-token": "t0ken"}, b"").ok
    assert proof("t0ken", KEY) == "hmac-sha256:" + hexed(KEY, b"inbox token\0t0ken")
    assert proof("t0ken", KEY) != proof("t0ken", "another key")
    assert proof("t0ken", KEY) != "hmac-sha256:" + hexed(KEY, b"t0ken")


def test_none_is_let_through_and_said_to_prove_nothing() -> None:
    verdict = verify("none", (), {}, b"", MOMENT)
    assert verdict.ok
    assert verdict.sentence.startswith("Nothing is proven")


@pytest.mark.parametrize("kind", [*PROVING, "md5"])
def test_no_secret_and_an_unknown_kind_prove_nothing(kind: str) -> None:
    assert not verify(kind, (), good("standard")[1], BODY, MOMENT).ok
    assert not verify("md5", ("secret",), STANDARD, BODY, MOMENT).ok


@pytest.mark.parametrize("kind", PROVING)
@pytest.mark.parametrize("piece", ["v1,", "v1=a,", "t=1,", " ", ",", "sha256=", "é", "v1,A "])
def test_a_megabyte_in_a_header_takes_no_time(kind: str, piece: str) -> None:
    secret, headers, body = good(kind)
    flood = dict.fromkeys(headers, piece * (1_000_000 // len(piece)))
    start = time.thread_time()
    assert not verified(kind, secret, flood, body).ok
    assert not verified(kind, secret, {**headers, LEAD[kind]: flood[LEAD[kind]]}, body).ok
    assert time.thread_time() - start < 3  # quadratic: minutes


NAMES = (*LEAD.values(), "webhook-id", "webhook-timestamp", "x-slack-request-timestamp", "x-hub-signature")
PIECES = st.sampled_from(
    ["v1,", "v1=", "t=", f"{SECONDS}", "v0=", "sha256=", " ", ",", "hmac-sha256:", "٣", "\ud800"]
)
VALUES = st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3)).map("".join))


@given(
    st.sampled_from(PROVING),
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.binary(),
    st.text(),
    st.text(),
)
def test_nothing_that_is_sent_raises_or_is_proven(
    kind: str, headers: dict[str, str], body: bytes, secret: str, key: str
) -> None:
    verdict = verify(kind, (secret, SECRET), headers, body, MOMENT, proof_keys=(key,))
    assert not verdict.ok
    assert verdict.sentence


@given(st.binary(min_size=1, max_size=64), st.text().map(json.dumps), st.integers(-400, 400), st.booleans())
def test_the_library_of_the_standard_agrees(key: bytes, body: str, age: int, honest: bool) -> None:
    """It goes by the time of the call, so that is the receipt here; at the very edge the two calls differ."""
    secret, now = "whsec_" + base64.b64encode(key).decode().rstrip("="), datetime.now(UTC)
    signed = int(now.timestamp()) - (0 if 295 <= abs(age) <= 305 else age)
    signature = Verifier(secret).sign("msg_1", datetime.fromtimestamp(signed, UTC), body)
    text = body if honest else f"{body} "
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(signed), "webhook-signature": signature}
    try:
        Verifier(secret).verify(text, headers)
        expected = True
    except WebhookVerificationError:
        expected = False
    assert verify("standard", (secret,), headers, text.encode(), now).ok == expected
