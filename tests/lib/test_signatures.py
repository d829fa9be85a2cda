"""Signatures match the published vectors, and a malformed secret is refused."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier

from guestbook.lib import signatures
from tests.lib.test_ed25519 import KEY, PUBLIC_KEY

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_standard_webhooks() -> None:
    keys = (signatures.key_of(SECRET),)
    assert signatures.standard(keys, EVENT_ID, TIMESTAMP, BODY) == SIGNATURE


def test_the_vector_of_svix_for_a_key_pair() -> None:
    signature = signatures.standard((), EVENT_ID, TIMESTAMP, BODY, (signatures.seed_of(KEY),))
    assert signature == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )
    both = signatures.standard(
        (signatures.key_of(SECRET),), EVENT_ID, TIMESTAMP, BODY, (signatures.seed_of(KEY),)
    )
    assert both == f"{SIGNATURE} {signature}"


def test_the_vector_of_github() -> None:
    signature = signatures.hub(b"It's a Secret to Everybody", b"Hello, World!")
    assert signature == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@given(st.binary(max_size=200), st.binary(min_size=24, max_size=64))
def test_the_library_of_the_standard_computes_the_same(body: bytes, key: bytes) -> None:
    body = body.decode("latin-1").encode()
    verifier = Verifier("whsec_" + base64.b64encode(key).decode())
    moment = datetime.fromtimestamp(TIMESTAMP, UTC)
    assert verifier.sign(EVENT_ID, moment, body.decode()) == signatures.standard(
        (key,), EVENT_ID, TIMESTAMP, body
    )


def test_a_new_secret_is_what_the_standard_asks_for_and_never_the_same() -> None:
    made = {signatures.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(signatures.key_of(secret)) for secret in made} == {32}


@pytest.mark.parametrize(
    "text", ["It's a Secret to Everybody", SECRET.removeprefix("whsec_"), "ключ 🦋 " * 3]
)
def test_a_text_is_its_own_key_and_the_packages_of_the_standard_take_it_too(text: str) -> None:
    assert signatures.key_of(text) == text.encode()
    assert signatures.key_of(signatures.standard_form(text)) == text.encode()
    moment = datetime.fromtimestamp(TIMESTAMP, UTC)
    assert Verifier(signatures.standard_form(text)).sign(
        EVENT_ID, moment, BODY.decode()
    ) == signatures.standard((signatures.key_of(text),), EVENT_ID, TIMESTAMP, BODY)


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", SECRET[:-1], SECRET + "!", SECRET + "\n", "whsec_ключ", "fifteen letters", "x" * 101),
        *("WHSEC_" + SECRET.removeprefix("whsec_"), "two lines, and both\nare long enough", KEY, PUBLIC_KEY),
        *("whsec_" + base64.b64encode(b"k" * length).decode() for length in (23, 65)),
    ],
)
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="A secret is whsec_ and the base64"):
        signatures.key_of(secret)
