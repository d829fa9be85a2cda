"""Signatures and key pairs match the published vectors; what is no secret, key or signature is refused."""

import base64
import hashlib
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st
from standardwebhooks import Webhook as Verifier

from guestbook.lib import signatures
from guestbook.lib.verification import kinds

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC_8032 = {
    "1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "SHA(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").digest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
# The key pair in Svix's documentation.
KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_github() -> None:
    signature = signatures.hub(b"It's a Secret to Everybody", b"Hello, World!")
    assert signature == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_vectors_of_standard_webhooks_and_of_svix() -> None:
    signature = signatures.standard((), EVENT_ID, TIMESTAMP, BODY, (signatures.seed_of(KEY),))
    assert signature == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )
    both = signatures.standard(
        (signatures.key_of(SECRET),), EVENT_ID, TIMESTAMP, BODY, (signatures.seed_of(KEY),)
    )
    assert both == f"{SIGNATURE} {signature}"


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


# --- key pairs


@pytest.mark.parametrize("name", RFC_8032)
def test_the_vectors_of_the_rfc(name: str) -> None:
    seed, public, message, signature = RFC_8032[name]
    assert signatures.public_bytes(bytes.fromhex(seed)).hex() == public
    assert signatures.ed25519_sign(bytes.fromhex(seed), message).hex() == signature
    assert signatures.verify_with_key(bytes.fromhex(public), message, bytes.fromhex(signature))
    assert not signatures.verify_with_key(bytes.fromhex(public), message + b"!", bytes.fromhex(signature))


def test_the_key_pair_of_svix() -> None:
    seed = base64.b64decode(KEY.removeprefix("whsk_"))[:32]
    assert signatures.seed_of(KEY) == seed
    assert signatures.public_key(KEY) == signatures.written_key(signatures.public_bytes(seed)) == PUBLIC_KEY
    assert signatures.written_key(kinds.read_public_key(PUBLIC_KEY)) == PUBLIC_KEY


@given(st.binary(max_size=200))
def test_a_new_key_signs_and_its_public_key_alone_verifies(content: bytes) -> None:
    key, other = signatures.new_key(), signatures.new_key()
    signature = signatures.ed25519_sign(signatures.seed_of(key), content)
    public = kinds.read_public_key(signatures.public_key(key))
    assert signatures.verify_with_key(public, content, signature)
    assert not signatures.verify_with_key(
        kinds.read_public_key(signatures.public_key(other)), content, signature
    )
    assert not signatures.verify_with_key(public, content + b".", signature)
    assert not signatures.verify_with_key(public, content, signature[::-1])


@pytest.mark.parametrize("signature", [b"", b"x", b"\0" * 64, b"\xff" * 64, b"\0" * 65])
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    assert not signatures.verify_with_key(kinds.read_public_key(PUBLIC_KEY), b"content", signature)


@pytest.mark.parametrize("public", [b"", b"\xff" * 31, b"\xff" * 32, b"\0" * 33])
def test_what_is_no_public_key_verifies_nothing(public: bytes) -> None:
    assert not signatures.verify_with_key(
        public, b"content", signatures.ed25519_sign(signatures.seed_of(KEY), b"content")
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "whsk_", KEY[5:], KEY[:-1], KEY + "\n", KEY[:-8], KEY + "AAAA", "WHSK_" + KEY[5:]),
        *("whsk_ключ", PUBLIC_KEY),
    ],
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    for read in (signatures.seed_of, signatures.public_key):
        with pytest.raises(ValueError, match="A key is whsk_ and the base64 of 64 bytes"):
            read(text)


def test_a_key_is_completed_with_its_public_key_whether_it_has_one_or_not() -> None:
    key = signatures.new_key()
    seed = base64.b64decode(key.removeprefix("whsk_"))[:32]
    alone = "whsk_" + base64.b64encode(seed).decode()
    assert signatures.completed_key(alone) == signatures.completed_key(key) == key


@pytest.mark.parametrize(("length", "ok"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_secret_holds_24_to_64_bytes(length: int, ok: bool) -> None:
    secret = "whsec_" + base64.b64encode(bytes(length)).decode()
    assert signatures.standard_form(secret) == secret
    if ok:
        assert signatures.key_of(secret) == bytes(length)
    else:
        with pytest.raises(ValueError, match="A secret is"):
            signatures.key_of(secret)


def test_a_text_has_16_to_100_characters() -> None:
    assert [length for length in range(1, 120) if signatures.is_text("x" * length)] == [*range(16, 101)]


def test_a_private_key_beside_another_public_key_is_refused() -> None:
    mixed = base64.b64encode(signatures.seed_of(KEY) + signatures.public_bytes(b"k" * 32)).decode()
    with pytest.raises(ValueError, match="no pair"):
        signatures.seed_of("whsk_" + mixed)


def test_without_the_package_a_sentence_says_so_and_the_public_key_can_still_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    for use in (
        signatures.new_key,
        lambda: signatures.ed25519_sign(b"k" * 32, b""),
        lambda: signatures.verify_with_key(b"", b"", b""),
    ):
        with pytest.raises(signatures.PackageMissing, match="The package cryptography is not installed"):
            use()
    assert signatures.public_key(KEY) == PUBLIC_KEY
