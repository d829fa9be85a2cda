"""What signs a webhook's requests, a secret or a key pair, and GitHub's headers: set, refused, rotated."""

import base64
import sys
from datetime import timedelta
from typing import Any

import pytest

from guestbook.lib import clock, signatures
from guestbook.lib.errors import Refused
from guestbook.outbound import webhook_signatures
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owned_webhooks import add, changed, refused, update

pytestmark = pytest.mark.usefixtures("app")

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TEXT = "It's a Secret to Everybody"
HOUR = timedelta(hours=1)


def rotated(row: Webhook, *how: Any) -> Webhook:
    return changed(row, webhook_signatures.rotate_secret, *how)


def rotated_key(row: Webhook, *how: Any) -> Webhook:
    return changed(row, webhook_signatures.rotate_key, *how)


# --- a secret that the receiver has already


@pytest.mark.parametrize("secret", [GIVEN, TEXT, "a" * 16, "ключ от книги 🦋!", "x" * 100])
def test_a_given_secret_is_taken(secret: str) -> None:
    assert add(secret=f" {secret}\n").secret == secret


def test_what_is_no_secret_is_refused_in_a_sentence() -> None:
    sentence = (
        "The secret must be whsec_ and the base64 of 24 to 64 bytes, "
        "or a text of 16 to 100 characters in one line."
    )
    for secret in ("short", "a NUL \0 in the middle", "half a character \ud83e"):
        assert refused(secret=secret) == {"secret": sentence}


def test_a_private_key_in_place_of_a_secret_is_refused_with_the_place_where_it_belongs() -> None:
    sentence = "This is a private key. Give it as the signing key, not here."
    assert refused(secret=signatures.new_key()) == {"secret": sentence}


def test_a_given_secret_is_taken_by_a_rotation_and_the_old_one_signs_beside_it() -> None:
    row = add(secret=GIVEN)
    row = rotated(row, HOUR, TEXT)
    assert (row.secret, row.previous_secret) == (TEXT, GIVEN)
    with pytest.raises(Refused, match="has this secret already"):
        rotated(row, HOUR, TEXT)
    with pytest.raises(Refused, match="The secret must be whsec_"):
        rotated(row, HOUR, "short")
    row = rotated(row, HOUR)
    assert (row.secret.startswith("whsec_"), row.previous_secret) == (True, TEXT)


# --- a key pair


@pytest.mark.parametrize("sign_with", ["key", "both"])
def test_a_key_pair_is_made_for_those_who_want_one(sign_with: str) -> None:
    row = add(sign_with=sign_with)
    assert row.sign_with == sign_with
    assert row.public_key == signatures.public_key(row.signing_key or "")
    assert row.public_key != add(sign_with=sign_with).public_key


def test_the_key_stays_as_long_as_it_signs_and_is_deleted_then() -> None:
    row = add(sign_with="both")
    key = row.signing_key
    row = update(row, sign_with="key", name="Two")
    assert (row.sign_with, row.signing_key) == ("key", key)
    since = row.key_only_since
    row = update(row, name="Three", sign_with="key")
    assert (row.signing_key, row.key_only_since) == (key, since)
    assert update(row, sign_with="both").signing_key == key
    rotated_key(row)
    row = update(row, sign_with="secret")
    assert (row.signing_key, row.previous_signing_key, row.previous_signing_key_expires_at) == (None,) * 3
    assert (row.sign_with, row.key_only_since) == ("secret", None)
    assert update(row, sign_with="key").signing_key not in (None, key)


def test_a_rotated_key_signs_beside_the_new_one_for_a_while() -> None:
    row, before = add(sign_with="key"), clock.now()
    old = row.signing_key
    row = rotated_key(row, HOUR)
    assert row.previous_signing_key == old != row.signing_key
    assert row.previous_signing_key_expires_at
    assert timedelta() <= row.previous_signing_key_expires_at - before - HOUR < timedelta(minutes=1)
    assert row.previous_public_key == signatures.public_key(old or "")


def test_a_given_key_signs_alone_unless_both_are_wanted() -> None:
    key = signatures.new_key()
    row = add(signing_key=f" {key}\n")
    assert (row.signing_key, row.sign_with) == (key, "key")
    row = add(signing_key=key, sign_with="both")
    assert (row.signing_key, row.sign_with) == (key, "both")
    assert update(add(), signing_key=key).sign_with == "key"


def test_a_seed_alone_is_a_key_too() -> None:
    """Standard Webhooks, "Asymmetric signatures": some programs write the seed, others the public key too."""
    key = signatures.new_key()
    seed = signatures.PRIVATE_KEY_PREFIX + base64.b64encode(signatures.seed_of(key)).decode()
    assert add(signing_key=seed).signing_key == key


def test_a_key_given_later_lets_the_one_before_sign_beside_it() -> None:
    old, new = signatures.new_key(), signatures.new_key()
    row = update(add(signing_key=old, sign_with="both"), signing_key=new)
    assert (row.signing_key, row.previous_signing_key, row.sign_with) == (new, old, "both")
    assert row.previous_signing_key_expires_at > clock.now() + 23 * HOUR
    row = update(row, signing_key=new)
    assert (row.signing_key, row.previous_signing_key) == (new, old)
    row = rotated_key(row, HOUR, old)
    assert (row.signing_key, row.previous_signing_key) == (old, new)
    with pytest.raises(Refused, match="has this key already"):
        rotated_key(row, HOUR, old)


def test_what_is_no_private_key_is_refused_in_a_sentence() -> None:
    sentence = "The signing key must be whsk_ and the base64 of 32 bytes, or of 64 with the public key."
    assert refused(signing_key="whsk_short") == {"signing_key": sentence}


def test_a_key_for_a_webhook_that_signs_with_the_secret_is_refused() -> None:
    assert refused(signing_key=signatures.new_key(), sign_with="secret") == {
        "sign_with": "To use this key, sign with the key or with both."
    }


def test_no_key_is_rotated_where_there_is_none() -> None:
    with pytest.raises(Refused, match="This webhook has no key, because only its secret signs"):
        rotated_key(add())


def test_a_key_that_somebody_has_garbled_has_no_public_key() -> None:
    assert Webhook(signing_key="whsk_garbled").public_key is None


def test_without_the_package_a_key_is_refused_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row, keyed = add(), add(sign_with="both")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    for act in (lambda: update(row, sign_with="key"), lambda: rotated_key(keyed)):
        with pytest.raises(Refused, match=r"cryptography is not installed.* Install it with: .*ed25519"):
            act()
    assert update(keyed, name="Two").sign_with == "both", "other changes need no package"
    assert update(keyed, sign_with="secret").signing_key is None


# --- GitHub's headers


def test_github_headers_come_where_the_owner_wants_them() -> None:
    row = add(github_headers=True)
    since = row.github_headers_since
    assert since
    assert update(row, name="Two").github_headers_since == since
    assert update(row, github_headers=True).github_headers_since == since
    assert update(row, github_headers=False).github_headers_since is None
    assert add(github_headers=False).github_headers_since is None


WITH_SECRET = "Receivers written for GitHub verify with the secret, so sign with it or with both."
DOUBLE = "Remove x-GitHub-event, X-GitHub-Delivery, because GitHub’s headers come already."
UNSIGNED = "A webmention is not signed, so choose the secret, which is not used."
OWN = ("x-GitHub-event: push", "X-GitHub-Delivery: 1", "X-A: b")


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"github_headers": True, "sign_with": "key"}, "sign_with", WITH_SECRET),
        ({"github_headers": True, "headers": OWN}, "headers", DOUBLE),
        (
            {"url": "webmention:", "github_headers": True},
            "github_headers",
            "A webmention carries no headers of GitHub.",
        ),
        ({"url": "webmention:", "sign_with": "both"}, "sign_with", UNSIGNED),
    ],
)
def test_what_contradicts_is_refused(fields: dict[str, Any], field: str, sentence: str) -> None:
    assert refused(**fields) == {field: sentence}


def test_an_update_that_contradicts_changes_nothing() -> None:
    row = add(github_headers=True, name="one")
    with pytest.raises(Refused):
        update(row, name="two", sign_with="key")
    found = factories.the(Webhook, row.id)
    assert (found.name, found.sign_with) == ("one", "secret")
    assert add(headers=("X-GitHub-Event: push",)).headers == {"X-GitHub-Event": "push"}
    other = ("X-GitHub-Api-Version: 2026-03-10",)
    assert len(add(headers=other, github_headers=True).headers) == 1
