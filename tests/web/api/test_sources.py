"""Sources by the API: add, change, rotate, delete."""

import pytest
from flask import Flask

from guestbook.storage.models import Source
from tests.support import factories, inbound_factories
from tests.support.api_client import NOBODY, ApiClient
from tests.support.owner import PASSWORD, Owner

SIGNED = {"name": "Shop", "verify": "hmac", "header": "X-Sign", "scheme": {"prefix": "v1=", "tolerance": 60}}


def test_one_is_added_and_shows_its_secret_once(program: ApiClient) -> None:
    made = program.post("/sources", {"name": "Code", "verify": "github", "action": "comment"})
    assert made["url"].startswith("https://book.example/hooks/")
    assert len(made["secret"]) > 20
    shown = program.get(f"/sources/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["scheme"], shown["template"]) == (None, made["template"])
    assert program.get("/sources")["sources"] == [shown]
    assert made["secret"] not in str(program.get("/audit"))


def test_the_scheme_goes_in_and_comes_out_alike(program: ApiClient) -> None:
    made = program.post("/sources", SIGNED | {"secret": "given"})
    scheme = {
        **{"hash": "sha256", "encoding": "hex", "prefix": "v1=", "content": "{body}"},
        **{"timestamp_header": "", "tolerance": 60},
    }
    assert (made["scheme"], made["secret"]) == (scheme, "given")
    changed = program.patch(f"/sources/{made['id']}", {"scheme": made["scheme"] | {"hash": "sha1"}})
    assert changed["scheme"] == scheme | {"hash": "sha1"}
    assert "secret" not in changed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verify": "github"}, "name"),
        ({"name": "x"}, "verify"),
        ({"name": "x", "verify": "none", "secret": "y"}, "secret"),
        (SIGNED | {"scheme": {"prefix": "a,b"}}, "scheme"),
        (SIGNED | {"scheme": {"salt": "x"}}, "scheme"),
        (SIGNED | {"scheme": {"timestamp_header": "X Y"}}, "scheme"),
        ({"name": "x", "verify": "none", "token": "y"}, "token"),
    ],
)
def test_a_wrong_field_is_named(program: ApiClient, body: dict[str, object], field: str) -> None:
    assert list(program.refused("POST", "/sources", body)) == [field]
    assert program.get("/sources")["sources"] == []


def test_it_is_changed_disabled_and_enabled(program: ApiClient) -> None:
    row_id = factories.source()
    url = f"/sources/{row_id}"
    changes = {"name": "Other", "action": "forward", "forwarded_in_full": True, "disabled": True}
    changed = program.patch(url, changes)
    assert (changed["name"], changed["action"]) == ("Other", "forward")
    assert changed["forwarded_in_full_since"]
    assert changed["disabled_at"]
    assert program.patch(url, {"disabled": False})["disabled_at"] is None
    assert [row["action"] for row in program.get("/audit?actor=token")["audit"]] == [
        "enabled",
        "disabled",
        "changed",
    ]


def test_another_way_to_verify_makes_a_secret_and_shows_it(program: ApiClient) -> None:
    row_id = factories.source()
    made = program.patch(f"/sources/{row_id}", {"verify": "token"})["secret"]
    assert made
    assert "secret" not in program.patch(f"/sources/{row_id}", {"secret": "given", "header": "X-Key"})
    assert factories.the(Source, row_id).secret == "given"


def test_its_secret_is_rotated_and_deleted_with_its_events(program: ApiClient) -> None:
    row_id = factories.source(verify="github", secret="old")
    factories.inbound(row_id)
    rotated = program.post(f"/sources/{row_id}/rotate-secret", {"overlap_hours": 1}, status=200)
    assert rotated["secret"] not in ("old", None)
    assert rotated["previous_secret_expires_at"]
    program.delete(f"/sources/{row_id}")
    assert program.get("/inbox")["inbound_events"] == []
    program.get(f"/sources/{row_id}", 404)


def test_a_secret_is_shown_to_the_one_who_knows_the_password(app: Flask, program: ApiClient) -> None:
    Owner(app)  # which sets the password
    hook, source = factories.webhook(secret="whsec_old"), factories.source(verify="github", secret="old")
    for url, secret in ((f"/webhooks/{hook}", "whsec_old"), (f"/sources/{source}", "old")):
        wrong = program.refused("POST", f"{url}/reveal-secret", {"password": "wrong"})
        assert wrong == {"password": "This is not the password."}
        assert program.post(f"{url}/reveal-secret", {"password": PASSWORD}, 200) == {"secret": secret}
        latest = program.get("/audit?limit=1")["audit"][0]
        assert (latest["action"], latest["actor"]) == ("revealed", "token")
    for _ in range(20):
        answer = program.ask("POST", f"/sources/{source}/reveal-secret", {"password": "wrong"})
    assert (answer.status_code, answer.headers["Retry-After"].isdigit()) == (429, True)


def test_a_sample_comes_in_like_a_real_event(program: ApiClient) -> None:
    made = program.post("/sources", {"name": "Pay", "verify": "stripe", "secret": "whsec_x"})
    event = program.post(f"/sources/{made['id']}/test", status=202)
    assert (event["status"], event["source_id"]) == ("new", made["id"])
    inbound_factories.process()
    shown = program.get(f"/inbox/{event['id']}")
    assert (shown["event"], shown["status"]) == ("checkout.session.completed", "processed")
    assert shown["verification"]["ok"] is True
    assert shown["verification"].keys() == {"ok", "sentence", "steps"}  # and no mark made with the secret
    fields = program.refused("POST", f"/sources/{made['id']}/test", {"event": "push"})
    assert fields == {"event": "There is no sample 'push'. Choose one of: checkout.session.completed."}
    assert program.ask("POST", f"/sources/{NOBODY}/test").status_code == 404


def test_a_scheme_without_a_hash_goes_in_as_it_comes_out(program: ApiClient) -> None:
    made = program.post("/sources", {"name": "Discord", "preset": "discord", "secret": "0" * 64})
    assert "hash" not in made["scheme"]
    path = f"/sources/{made['id']}"
    assert program.patch(path, {"scheme": made["scheme"]})["scheme"] == made["scheme"]
    assert (
        "A public key has its own hash"
        in program.refused("PATCH", path, {"scheme": {"hash": "sha256"}})["scheme"]
    )
    sentence = program.ask("POST", f"{path}/test").get_json()["error"]["message"]
    assert "only its sender has the private key" in sentence
