"""Managing sources: a wrong field is refused in a sentence, and nothing changes."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.inbound import sources
from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS
from guestbook.lib import clock, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.storage import database, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Comment, InboundEvent, Origin, Source
from guestbook.storage.models.source import VERIFY
from tests.support import factories

PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
GIVEN = {"stripe": "whsec_of_stripe", "slack": "8f742231b10e8888abcd99yyyzzz85a5", "ed25519": PUBLIC_KEY}
SIGNED = {"verify": "hmac", "header": "X-Signature"}
pytestmark = pytest.mark.usefixtures("any_app")


def add(**fields: Any) -> Source:
    given = {"verify": "github", **fields}

    def add_it(session: Session) -> str:
        name = row_changes.free_name(session, Source, "Robot")
        return sources.add(session, {"name": name, **given}).id

    return the(factories.written(add_it))


def the(row_id: str) -> Source:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Source, row_id)


def refusal(**fields: Any) -> dict[str, str]:
    with pytest.raises(Refused) as raised:
        add(**fields)
    assert db.session.scalars(select(Source)).all() == []
    return raised.value.fields


def update(row: Source, **fields: Any) -> Source:
    row_id = row.id
    factories.written(lambda session: sources.update(session, session.get_one(Source, row_id), fields))
    return the(row_id)


def columns(row: Source) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in Source.__table__.columns}


@pytest.mark.parametrize("verify", VERIFY)
def test_each_kind_of_source_is_stored_by_every_database(each_app: Flask, verify: str) -> None:  # noqa: ARG001
    header = "X-Signature" if VERIFICATION_KINDS[verify].has_scheme else None
    row = add(verify=verify, secret=GIVEN.get(verify), header=header)
    assert (row.verify, row.action, row.template, row.relayed_since) == (verify, "log", None, None)
    assert (row.secret is None) == (verify == "none")
    assert row.header == ("X-Webhook-Token" if verify == "token" else header)
    assert row.scheme == (SCHEME_DEFAULTS if header else None)


def test_a_source_gets_an_address_that_nobody_guesses() -> None:
    rows = [add(), add()]
    assert len({row.token for row in rows}) == 2
    assert all(len(row.token) == 32 for row in rows)
    assert rows[0].url("https://book.example") == f"https://book.example/hooks/{rows[0].token}"


def test_a_secret_is_made_where_the_sender_does_not_make_it() -> None:
    assert len(add().secret or "") >= 40
    assert len(add(verify="token").secret or "") >= 40
    assert len(signatures.key_of(add(verify="standard").secret or "")) == 32
    assert add().secret != add().secret


def test_the_secret_of_a_sender_is_taken_as_it_is() -> None:
    for verify in ("github", "token", "stripe", "slack"):
        row = add(verify=verify, secret=" It's a Secret to Everybody ")
        assert row.secret == "It's a Secret to Everybody"
    key = base64.b64encode(b"k" * 24).decode()
    for secret in (f"whsec_{key}", key):
        assert add(verify="standard", secret=secret).secret == secret


# The sentence by the field, and what is refused with it.
PASTE, LONG_PREFIX = "Paste the ", "A prefix has at most 20 ASCII characters"
TIMED = {**SIGNED, "content": "{timestamp}.{body}"}
BY_KEY = {"verify": "ed25519", "header": "X-S"}
COMMENT, TOKEN, HMAC = {"action": "comment"}, {"verify": "token"}, {"verify": "hmac"}
BAD_KEYS = [{"verify": "standard", "secret": "whpk_AAAA"}, {**BY_KEY, "secret": "abc"}]
BAD_SECRETS = [{"secret": text} for text in ("s" * 201, "a\nb", "a\0b", "\ud800")]
BAD_HEADERS = [{**HMAC, "header": "X_S"}, {**TOKEN, "header": "X_Token"}, {**TOKEN, "header": "X-" * 33}]
OWN_HASHES: list[dict[str, Any]] = [{**BY_KEY, "secret": "0" * 64, "hash": "sha256"}]
OWN_HASHES += [{"verify": "", "preset": "discord", "secret": "0" * 64, "hash": "sha512"}]
WITHOUT_TEMPLATE = {**COMMENT, "verify": "slack", "secret": "8f742231b1"}
WRONG: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("name", "The name must have 1 to 80 characters.", [{"name": ""}, {"name": "n" * 81}]),
    ("verify", "Choose the way to verify: github, ", [{"verify": ""}]),
    ("verify", "There is no way to verify 'sha1'.", [{"verify": "sha1"}]),
    ("action", "There is no action 'mail'.", [{"action": "mail"}]),
    ("preset", "There is no preset 'paypal'.", [{"preset": "paypal"}]),
    ("secret", f"{PASTE}signing secret that Stripe shows", [{"verify": "stripe"}]),
    ("secret", f"{PASTE}signing secret that Slack shows", [{"verify": "slack", "secret": ""}]),
    ("secret", f"{PASTE}public key that the sender shows", [BY_KEY]),
    ("secret", f"{PASTE}secret that Shopify shows", [{"verify": "", "preset": "shopify"}]),
    ("secret", f"{PASTE}public key that Discord shows", [{"verify": "", "preset": "discord"}]),
    ("secret", "This is a key of Stripe’s API", [{"verify": "stripe", "secret": "sk_live_1"}]),
    ("secret", "This is a token of Slack’s API", [{"verify": "slack", "secret": "xoxb-1"}]),
    ("secret", "The secret is not one of", [{"verify": "standard", "secret": "not base64!"}]),
    ("secret", "The public key must have 64", BAD_KEYS),
    ("secret", "A source that verifies nothing has no secret", [{"verify": "none", "secret": "x"}]),
    ("secret", "The secret must have 1 to 200 characters", BAD_SECRETS),
    ("secret", "A token is sent in a header", [{"verify": "token", "secret": "é"}]),
    ("header", "Name the header that carries the signature", [{"verify": "hmac"}]),
    ("header", "A header’s name has at most 64 letters", BAD_HEADERS),
    ("header", "Every request has the header Content-Type", [{"verify": "hmac", "header": "Content-Type"}]),
    ("header", "Every request has the header Host", [{"verify": "token", "header": "Host"}]),
    ("header", "Only a source that is verified by a token", [{"header": "X-Token"}]),
    ("hash", "There is no hash 'md5'. Choose one of: sha256, sha1, sha512.", [{**SIGNED, "hash": "md5"}]),
    ("hash", "A public key has its own hash, so none can be chosen. Leave it out.", OWN_HASHES),
    ("hash", "Only a source that is verified by hmac or ed25519", [{"hash": "sha1"}]),
    ("encoding", "There is no encoding 'base32'.", [{**SIGNED, "encoding": "base32"}]),
    ("prefix", LONG_PREFIX, [{**SIGNED, "prefix": text} for text in ("a b", "a,b", "é", "x" * 21)]),
    ("tolerance", "The tolerance must be a number of seconds from 1 to", [{**SIGNED, "tolerance": "0"}]),
    ("tolerance", "The tolerance must be a number of seconds", [{**SIGNED, "tolerance": "soon"}]),
    ("content", "There is no signed content '{id}{body}'.", [{**SIGNED, "content": "{id}{body}"}]),
    ("content", "The timestamp is not signed, so it proves", [{**SIGNED, "timestamp_header": "X-Time"}]),
    ("timestamp_header", "Name the header with the timestamp", [TIMED]),
    ("timestamp_header", "A header’s name has at most 64", [{**TIMED, "timestamp_header": "X Time"}]),
    ("template", "The action log needs no template", [{"template": "{{ payload }}"}]),
    ("template", "Line 1 of the template: ", [{"action": "comment", "template": "{% if %}"}]),
    ("template", "The template must be text", [{**COMMENT, "template": text} for text in ("a\0", "\udfff")]),
    ("template", "A template has at most 8,000", [{"action": "comment", "template": "x" * 8001}]),
    ("template", "Write the template that makes the comment, or name a ready-made", [WITHOUT_TEMPLATE]),
]


@pytest.mark.parametrize(("field", "sentence", "wrong"), WRONG)
def test_a_wrong_field_is_refused_in_a_sentence(field: str, sentence: str, wrong: Any) -> None:
    for given in wrong:
        reasons = refusal(**given)
        assert list(reasons) == [field]
        assert reasons[field].startswith(sentence)


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert set(refusal(name="", secret="a\nb", header="X-Token")) == {"name", "secret", "header"}


FITTING = {"github": "github", "standard": "guestbook", "stripe": "stripe", "token": "plain", "none": "plain"}


@pytest.mark.parametrize(("verify", "name"), FITTING.items())
def test_a_source_that_writes_comments_has_the_template_that_fits_its_sender(verify: str, name: str) -> None:
    row = add(verify=verify, action="comment", secret=GIVEN.get(verify))
    assert row.template == PRESETS[name]
    assert sources.preset_name(row.template) == name


@pytest.mark.parametrize("name", PRESETS)
def test_a_ready_made_template_is_named(name: str) -> None:
    assert add(action="comment", template=f" {name}\n").template == PRESETS[name]


def test_a_misspelt_name_of_a_template_is_refused_but_a_text_is_a_template() -> None:
    found = refusal(action="comment", template="githb")
    assert found == {"template": "There is no ready-made template 'githb'. Did you mean 'github'?"}
    assert add(action="comment", template="Somebody wrote.").template == "Somebody wrote."


def test_a_template_of_ones_own_is_kept_as_it_is() -> None:
    row = add(action="comment", template="{% set name = 'x' %}\r\n{{ payload.text }}\r\n")
    assert row.template == "{% set name = 'x' %}\n{{ payload.text }}\n"
    assert sources.preset_name(row.template) is None


def test_a_template_waits_while_the_action_does_not_need_it() -> None:
    row = add(action="comment", template="{{ payload.text }}")
    assert update(row, action="log").template == "{{ payload.text }}"
    assert update(row, action="comment").template == "{{ payload.text }}"
    assert update(row, action="comment", template="").template == PRESETS["github"]


def test_an_update_changes_what_is_named_and_nothing_else() -> None:
    row = add(verify="token", header="X-Gitlab-Token")
    before = columns(row)
    after = columns(update(row, name="GitLab", action="forward"))
    assert after == {**before, "name": "GitLab", "action": "forward"}


def test_an_update_with_something_wrong_changes_nothing() -> None:
    row = add()
    before = columns(row)
    with pytest.raises(Refused):
        update(row, name="Other", action="mail", relayed=True)
    assert columns(the(before["id"])) == before


def test_another_secret_of_the_same_kind_is_good_beside_the_old_one_for_a_day() -> None:
    row = add(secret="old")
    row = update(row, secret="new")
    now = clock.now()
    assert row.secrets_at(now) == ("new", "old")
    assert row.secrets_at(now + timedelta(hours=25)) == ("new",)
    assert update(row, secret="new").previous_secret == "old", "the same one again is no change"


def test_another_way_to_verify_ends_the_old_secrets() -> None:
    row = update(add(secret="old"), secret="newer")
    row = update(row, verify="standard")
    assert len(signatures.key_of(row.secret or "")) == 32
    assert (row.previous_secret, row.previous_secret_expires_at) == (None, None)
    row = update(row, verify="none")
    assert (row.secret, row.previous_secret) == (None, None)
    row = update(row, verify="token")
    assert (row.header, row.previous_secret) == ("X-Webhook-Token", None)
    assert update(row, verify="github").header is None


def test_a_secret_that_only_the_sender_can_make_is_asked_for_when_the_way_to_verify_changes() -> None:
    row = add()
    with pytest.raises(Refused) as raised:
        update(row, verify="slack")
    assert list(raised.value.fields) == ["secret"]
    assert update(row, verify="slack", secret="8f742231b1").secret == "8f742231b1"


def test_how_the_sender_signs_is_kept_and_a_part_of_it_is_changed() -> None:
    given = {"hash": "sha512", "content": "{timestamp}.{body}", "timestamp_header": "X-Time"}
    row = add(**SIGNED, **given, prefix=" v1= ")
    assert row.scheme == {**SCHEME_DEFAULTS, **given, "prefix": "v1="}
    row = update(row, encoding="base64", prefix="")
    assert row.scheme == {**SCHEME_DEFAULTS, **given, "encoding": "base64", "prefix": ""}
    row = update(row, content="{body}", timestamp_header="", header="X-Other")
    assert (row.header, (row.scheme or {})["timestamp_header"]) == ("X-Other", "")
    row = update(row, verify="github")
    assert (row.header, row.scheme) == (None, None)
    with pytest.raises(Refused) as raised:
        update(row, verify="hmac")
    assert list(raised.value.fields) == ["header"]


@pytest.mark.parametrize(
    ("field", "column"), [("forwarded_in_full", "forwarded_in_full_since"), ("relayed", "relayed_since")]
)
def test_the_time_since_which_something_is_wanted_stays_until_it_is_not(field: str, column: str) -> None:
    row = add(action="forward", **{field: True})
    since = getattr(row, column)
    assert since is not None
    assert getattr(update(row, **{field: True}), column) == since
    assert getattr(update(row, name="Other"), column) == since
    assert getattr(update(row, **{field: False}), column) is None


def test_a_rotated_secret_is_good_beside_the_old_one_for_as_long_as_was_said() -> None:
    row_id, old, now = (row := add()).id, row.secret, clock.now()
    with database.writing() as session:
        sources.rotate(session, session.get_one(Source, row_id), timedelta(hours=2))
    row = the(row_id)
    assert row.secret != old
    assert row.secrets_at(now + timedelta(minutes=119)) == (row.secret, old)
    assert row.secrets_at(now + timedelta(minutes=121)) == (row.secret,)


def test_a_secret_of_the_sender_takes_the_place_of_ours() -> None:
    row_id, theirs = add(verify="standard").id, signatures.new_secret()
    factories.written(lambda session: sources.rotate(session, session.get_one(Source, row_id), secret=theirs))
    assert the(row_id).secret == theirs


@pytest.mark.parametrize(("verify", "secret", "sentence"), [
    ("none", None, "This source verifies nothing, so it has no secret."),
    ("stripe", None, "Paste the signing secret that Stripe shows"),
    ("stripe", "whsec_of_stripe", "The source already has this secret."),
    ("github", "a\nb", "The secret must have 1 to 200 characters"),
])  # fmt: skip
def test_a_rotation_that_makes_no_sense_is_refused(verify: str, secret: str | None, sentence: str) -> None:
    row = add(verify=verify, secret=GIVEN.get(verify))
    before = columns(row)
    with pytest.raises(Refused, match=sentence), database.writing() as session:
        sources.rotate(session, session.get_one(Source, before["id"]), secret=secret)
    assert columns(the(before["id"])) == before


def test_a_deleted_source_takes_its_events_along_and_leaves_its_comments(each_app: Flask) -> None:  # noqa: ARG001
    gone, stays = factories.source(), factories.source(name="Other")
    comment_id = factories.sign()
    factories.written(lambda session: session.add(Origin(comment_id=comment_id, name="Robot")))
    for number in range(501):
        factories.inbound(gone, status="new" if number % 2 else "processed")
    factories.inbound(gone, status="processed", comment_id=comment_id)
    kept = factories.inbound(stays)
    db.session.rollback()
    assert row_changes.delete_with_rows(db.engine, Source, gone) == 502
    assert [event.id for event in db.session.scalars(select(InboundEvent))] == [kept]
    assert [source.id for source in db.session.scalars(select(Source))] == [stays]
    origin = db.session.get_one(Comment, comment_id).origin
    assert origin.name == "Robot"
    db.session.rollback()
