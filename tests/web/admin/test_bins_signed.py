"""The signature check of a bin says whose secret matches, or what is wrong, and never what would be right."""

import json
import sys
from datetime import timedelta

import pytest
from flask import Flask

from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import Check, Key
from guestbook.lib import clock, signatures
from guestbook.outbound import webhooks
from guestbook.storage.database import writing
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Receiver
from tests.web.admin.test_bins import PLACE, added, request_text, send

SECRET, OTHER = signatures.new_secret(), signatures.new_secret()
PAIR = signatures.new_key()
NOW = clock.now().replace(microsecond=0)
STAMP = int(NOW.timestamp())
BODY = b'{"a":1,"b":"\xc3\xa9"}'
KEYS = [Key(OTHER, "the secret of “Other”"), Key(SECRET, "the secret of “Chat”")]
Headers = list[tuple[str, str]]


def standard(body: bytes = BODY, stamp: int = STAMP, secret: str = SECRET) -> Headers:
    signature = signatures.standard((signatures.key_of(secret),), "msg_1", stamp, body)
    return [("Webhook-Id", "msg_1"), ("Webhook-Timestamp", str(stamp)), ("Webhook-Signature", signature)]


def hub(body: bytes = BODY, secret: str = SECRET) -> Headers:
    return [("X-Hub-Signature-256", signatures.hub(secret.encode(), body))]


def changed(name: str, value: str | None) -> Headers:
    """Good headers, one of them another, or not there."""
    kept = [pair for pair in standard() if pair[0] != name]
    return kept if value is None else [*kept, (name, value)]


def check(headers: Headers, body: bytes = BODY, sent: tuple[bytes, ...] = ()) -> Check:
    return request_bins.check(headers, body, NOW, KEYS, sent=sent)


def said(found: Check) -> str:
    [finding] = found.findings
    assert not finding.matches
    return finding.sentence


def test_it_says_whose_secret_fits_either_header() -> None:
    found = check(standard() + hub(secret=OTHER))
    assert [(one.header, one.matches, one.sentence) for one in found.findings] == [
        ("webhook-signature", True, "It was signed with the secret of “Chat”."),
        ("X-Hub-Signature-256", True, "It was signed with the secret of “Other”."),
    ]
    assert found.warning is None
    assert found.signed_content == b"msg_1.%d.%s" % (STAMP, BODY)


def by_key(key: str, *, secret: str | None = None, body: bytes = BODY) -> Headers:
    """Headers that a key signs, alone or beside a secret."""
    keys = (signatures.key_of(secret),) if secret else ()
    signature = signatures.standard(keys, "msg_1", STAMP, body, (signatures.seed_of(key),))
    return [*standard()[:2], ("Webhook-Signature", signature)]


def check_keys(headers: Headers, body: bytes = BODY) -> list[tuple[str, bool, str]]:
    public_keys = [Key(signatures.public_key(PAIR), "the key of “Chat”")]
    found = request_bins.check(headers, body, NOW, KEYS, public_keys=public_keys)
    assert (found.warning, found.signed_content) == (None, b"msg_1.%d.%s" % (STAMP, body))
    return [(one.header, one.matches, one.sentence) for one in found.findings]


def test_it_says_whose_key_fits() -> None:
    alone = ("webhook-signature (v1a)", True, "It was signed with the key of “Chat”.")
    assert check_keys(by_key(PAIR)) == [alone]
    beside = ("webhook-signature", True, "It was signed with the secret of “Chat”.")
    assert check_keys(by_key(PAIR, secret=SECRET)) == [beside, alone]
    another = ("webhook-signature (v1a)", False, request_bins.NO_KEY_MATCHES)
    assert check_keys(by_key(signatures.new_key())) == [another]
    assert check_keys(by_key(PAIR), BODY + b" ") == [another]
    for garbled in ("v1a,AAAA", "v1a," + "A" * 86 + "=="):
        assert check_keys(changed("Webhook-Signature", garbled)) == [another]


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = by_key(PAIR)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    assert check_keys(headers) == [
        (
            "webhook-signature (v1a)",
            False,
            f"{signatures.NO_KEYS} It comes with the extra {signatures.KEY_EXTRA}.",
        )
    ]


def test_secrets_and_keys_before_a_rotation_are_tried_while_they_are_valid() -> None:
    def hook(name: str, hours: int) -> Webhook:
        ends = NOW + timedelta(hours=hours)
        keys = {"signing_key": signatures.new_key(), "previous_signing_key": PAIR}
        old = {"previous_secret": "old", "previous_secret_expires_at": ends}
        return Webhook(name=name, secret=name, **keys, **old, previous_signing_key_expires_at=ends)

    secrets, keys = request_bins.keys_of([hook("a", 1), hook("b", -1), Webhook(name="c", secret="c")], NOW)
    assert [key.value for key in secrets] == ["a", "b", "c", "old"]
    assert secrets[3].whose.startswith("the previous secret of “a")
    names = ["the key of “a”", "the key of “b”", "the previous key of “a”"]
    assert sorted(one.whose.partition(",")[0] for one in keys) == names


def test_one_of_several_signatures_is_enough_also_by_a_text_and_in_the_headers_of_svix() -> None:
    good, text = standard()[2][1], "It's a Secret to Everybody"
    for many in (f"v1a,x v1,AAAA {good}", "v1,AAAA " * 63 + good):
        assert check(changed("Webhook-Signature", many)).findings[0].matches
    [finding] = check([(name.replace("Webhook", "Svix"), value) for name, value in standard()]).findings
    assert (finding.header, finding.matches) == ("svix-signature", True)
    garbled = [Key("no secret", "x"), Key(text, "it")]
    found = request_bins.check(standard(secret=text) + hub(secret=text), BODY, NOW, garbled)
    assert [one.matches for one in found.findings] == [True, True]


NO_NUMBER = "The timestamp in webhook-timestamp is not a number of seconds"
NO_SECRET = "No secret of a webhook here matches"
NONE_OF_VERSION_1 = "holds no signature of version 1"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "It is not signed: it has neither webhook-signature nor X-Hub-Signature-256."),
        (changed("Webhook-Id", None), "There is no header webhook-id."),
        (changed("Webhook-Timestamp", None), "There is no header webhook-timestamp."),
        (changed("Webhook-Signature", None), "There is no header webhook-signature."),
        *((changed("Webhook-Timestamp", stamp), NO_NUMBER) for stamp in ("2026-01-01", "9" * 5000, "\xb2")),
        (changed("Webhook-Timestamp", f"0{STAMP}"), NO_SECRET),
        *(
            (changed("Webhook-Signature", text), NONE_OF_VERSION_1)
            for text in ("v2,abc \xe9", "v1a,", "v1a,ü")
        ),
        (changed("Webhook-Signature", ""), "The header webhook-signature is empty."),
        (changed("Webhook-Signature", "v1,\xe9"), f"{NO_SECRET}: the sender used another one"),
        (changed("Webhook-Id", "\xe9\u20ac"), "or the id, the timestamp or the body changed."),
        ([("X-Hub-Signature-256", "sha1=abc")], "The header X-Hub-Signature-256 does not start with sha256="),
        (hub(secret=signatures.new_secret()), "the sender used another one, or the body changed."),
    ],
)
def test_it_says_what_is_wrong(headers: Headers, words: str) -> None:
    assert words in said(check(headers))


def test_a_body_that_changed_is_told_from_another_secret() -> None:
    sentence = said(check(standard(), b"{}", sent=(b"other", BODY)))
    assert sentence == (
        f"The body changed on its way: {len(BODY)} bytes were sent and 2 arrived. "
        "Before, it matched the secret of “Chat”."
    )
    assert "the sender used another one" in said(check(standard(), b"{}"))


@pytest.mark.parametrize(
    "came",
    [BODY + b"\n", json.dumps(json.loads(BODY)).encode(), json.dumps(json.loads(BODY), indent=2).encode()],
    ids=["a line end", "spaces", "indented"],
)
@pytest.mark.parametrize("headers", [standard(), hub()], ids=["standard", "hub"])
def test_json_that_was_written_anew_is_seen(headers: Headers, came: bytes) -> None:
    assert said(check(headers, came)).startswith("The body was rewritten on its way. Before, it matched")


def test_a_timestamp_is_held_against_the_moment_of_receipt() -> None:
    for seconds, words in (
        (-3600, "3,600 seconds before"),
        (400, "400 seconds after"),
        (-290, ""),
        (290, ""),
    ):
        found = check(standard(stamp=STAMP + seconds))
        assert found.findings[0].matches
        assert words in (found.warning or "")
        assert bool(found.warning) == bool(words)


def test_of_a_long_body_only_the_beginning_of_what_is_signed_is_shown() -> None:
    body = b"x" * 5000
    found = check(standard(body), body)
    assert found.findings[0].matches
    assert found.signed_content == b"msg_1.%d.%s" % (STAMP, body[: request_bins.SIGNED_CONTENT_SHOWN])
    assert found.is_shortened


# --- on the page, with real deliveries


def test_what_we_send_to_a_bin_fits_and_what_was_changed_is_told(app: Flask, owner: Owner) -> None:
    """A pass sends a ping to a receiver, which stands for the way to the bin."""
    bin_id = added(owner)
    with app.app_context(), Receiver() as receiver:
        webhook_id = factories.webhook(receiver.url("/hook"), name="Chat", signing_key=PAIR)
        with writing() as session:
            webhooks.store_sample(session, session.get_one(Webhook, webhook_id), factories.settings())
        factories.run_pass()
        [request] = receiver.requests
    headers = [(name.title(), value) for name, value in request.headers.items()]
    good = request_text(owner, send(bin_id, request.body, headers=headers))
    assert "matches webhook-signature: It was signed with the secret of “Chat”." in good
    assert "matches X-Hub-Signature-256: It was signed with the secret of “Chat”." in good
    assert "matches webhook-signature (v1a): It was signed with the key of “Chat”." in good
    bad = request_text(owner, send(bin_id, b"changed", headers=headers))
    assert f"The body changed on its way: {len(request.body)} bytes were sent and 7 arrived." in bad


def test_the_page_tells_nobody_what_would_be_right(owner: Owner) -> None:
    bin_id = added(owner)
    secret = factories.the(Webhook, factories.webhook(name="Chat")).secret
    body = b"pay me"
    headers = [*changed("Webhook-Signature", "v1,AAAA"), ("X-Hub-Signature-256", "sha256=" + "0" * 64)]
    page = owner.get(f"{PLACE}requests/{send(bin_id, body, headers=headers)}").text
    assert "pay me" in page
    right = signatures.standard((signatures.key_of(secret),), "msg_1", STAMP, body)
    for word in (secret, right, right[3:], signatures.hub(secret.encode(), body)[7:]):
        assert word not in page
