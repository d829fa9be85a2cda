"""Spam, tokens, doctor and previews by the API."""

import pytest
from flask import Flask

from guestbook.comments.spam import spam_report
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.storage.models import Token
from tests.support import factories, secret_keys
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.owner import PASSWORD, Owner


def test_a_flood_is_seen_and_ended(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        key = factories.settings().secret_key
        spam_report.count_refusal("rate")
        with writing() as session:
            spam_report.pass_one(session.connection(), key, clock.now(), most=0)
    found = program.get("/spam")
    assert [(one["reason"], one["number"], one["today"]) for one in found["refused"]] == [("rate", 1, 1)]
    assert found["held_until"]
    program.post("/spam/end-flood", status=204)
    assert program.get("/spam")["held_until"] is None
    [entry] = program.get("/audit?action=ended")["audit"]
    assert (entry["object"], entry["actor_name"]) == ("flood", "a program")


def test_the_score_forgets_what_it_has_learned(program: ApiClient) -> None:
    row = factories.sign("Cheap watches here")
    program.patch(f"/comments/{row}", {"status": "spam"})
    found = program.get("/spam")
    assert (found["learned_spam"], found["learned_words"] > 2) == (1, True)
    assert program.post("/spam/forget", status=200) == {"words": found["learned_words"]}
    assert program.get("/spam")["learned_words"] == 0
    assert program.get("/audit?action=cleared")["audit"][0]["object"] == "learned_words"


def test_tokens_are_listed_without_their_values_and_revoked(app: Flask, program: ApiClient) -> None:
    value = new_token("Old", scope="read", expires="90d")
    token_id = factories.rows(Token)[-1].id
    old, mine = program.get("/tokens")["tokens"]
    assert (old["name"], old["scope"], mine["scope"]) == ("Old", "read", "manage")
    assert old["expires_at"]
    assert not {"hash", "value"} & set(old)
    ApiClient(app, value).delete(f"/tokens/{token_id}", 403)
    program.delete(f"/tokens/{token_id}")
    ApiClient(app, value).get("/tokens", 401)
    program.delete(f"/tokens/{token_id}", 404)
    program.delete(f"/tokens/{mine['id']}")
    program.get("/tokens", 401)


def test_doctor_says_what_is_wrong(program: ApiClient) -> None:
    findings = program.get("/doctor")["findings"]
    assert {one["state"] for one in findings} <= {"problem", "warning", "ok"}
    [password] = [one for one in findings if one["subject"] == "password"]
    assert (password["state"], bool(password["advice"])) == ("warning", True)


@pytest.mark.parametrize(
    ("body", "format_name", "inside"),
    [
        ({}, "json", '"comment.created"'),
        ({"url": "https://hooks.slack.com/services/a/b/c"}, "slack", '"text"'),
        ({"template": '{"who": {{ comment.name|tojson }}}'}, "template", '"Ada"'),
        ({"format": "json", "events": ["ping"]}, "json", '"ping"'),
    ],
)
def test_webhook_preview(program: ApiClient, body: dict[str, object], format_name: str, inside: str) -> None:
    factories.sign()
    found = program.post("/previews/webhook", body, status=200)
    assert (found["format"], found["error"]) == (format_name, None)
    assert inside in found["body"]
    assert program.get("/webhooks")["webhooks"] == []


def test_presets_are_what_the_forms_fill_in(program: ApiClient) -> None:
    found = program.get("/presets")
    shop = next(one for one in found["senders"] if one["name"] == "shopify")
    made = program.post("/sources", {"name": "Shop", "preset": "shopify", "secret": "x"})
    assert {name: shop[name] for name in ("verify", "header", "scheme")} == {
        name: made[name] for name in ("verify", "header", "scheme")
    }
    assert shop["template"] in [one["name"] for one in found["templates"]]
    rebuild = {name: value for name, value in found["webhooks"][0].items() if name not in ("name", "title")}
    added = program.post("/webhooks", rebuild | {"format": "template"})
    assert (added["events"], set(added["headers"])) == (rebuild["events"], set(rebuild["headers"]))


def test_a_template_that_fails_says_why(program: ApiClient) -> None:
    found = program.post("/previews/webhook", {"template": "{{"}, status=200)
    assert (found["body"], bool(found["error"])) == (None, True)
    assert list(program.refused("POST", "/previews/source", {"template": "{{"})) == ["template"]


def test_a_source_s_comment_is_seen_before(program: ApiClient) -> None:
    source = factories.source()
    factories.inbound(source, payload='{"name": "Robot", "message": "Beep"}')
    found = program.post("/previews/source", {"source": source, "template": "plain"}, status=200)
    assert (found["comment"]["name"], found["comment"]["message"]) == ("Robot", "Beep")
    found = program.post("/previews/source", {"verify": "github"}, status=200)
    assert (bool(found["comment"]), found["sentence"]) == (True, None)
    program.post("/previews/source", {"source": NOBODY}, status=404)
    assert program.get("/comments?status=all")["comments"] == []


def test_a_secret_that_cannot_be_decrypted_is_not_revealed(app: Flask, program: ApiClient) -> None:
    """A program must not take the words in its place for the secret."""
    Owner(app)  # which sets the password
    with app.app_context():
        hook = factories.webhook(secret="whsec_" + "A" * 32)
        secret_keys.use(secret_keys.NEW_KEY)
    answer = program.ask("POST", f"/webhooks/{hook}/reveal-secret", {"password": PASSWORD})
    assert (answer.status_code, "cannot be decrypted" in answer.text) == (409, True)
