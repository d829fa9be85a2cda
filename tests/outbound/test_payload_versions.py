"""A webhook keeps the version of payloads it was made with. The older one of these tests is invented."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import formats, payload_versions, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FormatError, FormatInput, bodies
from guestbook.outbound.payload_versions import Payload, in_version
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS
from guestbook.queue import redelivery
from guestbook.storage import database
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.delivery import FIRST_VERSION
from tests.support import factories, sent_payloads
from tests.support.api_client import ApiClient, new_token
from tests.support.owner import Owner
from tests.support.receiver import Receiver
from tests.support.webhook_pages import added, form

OLDER, LATER = "2025-01-01", "2127-01-01"
steps_taken: list[str] = []


def to_older(payload: Payload) -> Payload:
    """A step back to a version whose comments had a `text`, and no `number`."""
    steps_taken.append(payload["type"])
    if comment := payload["data"].get("comment"):
        comment["text"] = comment.pop("message")
        del comment["number"]
    return payload


@pytest.fixture(autouse=True)
def _older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """There was a version before the first one."""
    monkeypatch.setitem(payload_versions.VERSIONS, OLDER, None)
    monkeypatch.setitem(payload_versions.VERSIONS, FIRST_VERSION, to_older)
    monkeypatch.setitem(WEBHOOK_FIELDS["version"].choices, OLDER, OLDER)  # type: ignore[arg-type]
    steps_taken.clear()
    yield
    sent_payloads.take_faults()  # The catalogue has the newest version only.


@pytest.fixture
def owner(app: Flask) -> Owner:
    return Owner(app).be_logged_in()


def sent(receiver: Receiver, path: str) -> tuple[dict[str, Any], str]:
    """The body of the only request there, and its version; its signature is right."""
    [request] = receiver.at(path)
    secret = next(row.secret for row in factories.rows(Webhook) if row.url == receiver.url(path))
    Verifier(secret).verify(request.body, request.headers)
    return json.loads(request.body), request.headers["x-guestbook-version"]


# --- pure


def test_a_version_goes_back_step_by_step_and_the_given_payload_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def to_first(payload: Payload) -> Payload:
        payload["data"]["comment"]["message"] = payload["data"]["comment"].pop("words")
        return payload

    monkeypatch.setitem(payload_versions.VERSIONS, LATER, to_first)
    assert payload_versions.newest() == LATER
    newest = EVENTS["comment.published"].example()
    newest["data"]["comment"]["words"] = newest["data"]["comment"].pop("message")
    before = json.dumps(newest)
    first, older = (in_version(newest, version)["data"]["comment"] for version in (FIRST_VERSION, OLDER))
    assert "message" in first
    assert "number" in first
    assert older["text"] == first["message"] == newest["data"]["comment"]["words"]
    assert "number" not in older
    assert json.dumps(newest) == before


def test_the_newest_version_costs_nothing_and_an_unknown_one_has_the_shape_of_its_time() -> None:
    newest = EVENTS["comment.published"].example()
    assert in_version(newest, FIRST_VERSION) is newest
    assert in_version(newest, "2126-12-31") is newest
    assert "text" in in_version(newest, "2026-11-30")["data"]["comment"]
    assert "text" in in_version(newest, "2020-01-01")["data"]["comment"]


# --- sent


@pytest.mark.usefixtures("app")
def test_two_webhooks_of_two_versions_get_two_shapes_of_one_comment(receiver: Receiver) -> None:
    with database.writing() as session:
        for path, version in (("/new", {}), ("/old", {"version": OLDER})):
            webhooks.add(session, {"url": receiver.url(path), **version}, factories.settings())
    factories.sign("Good day")
    factories.run_pass()
    (new, new_version), (old, old_version) = (sent(receiver, path) for path in ("/new", "/old"))
    assert (new_version, old_version) == (FIRST_VERSION, OLDER)
    comment, as_before = new["data"].pop("comment"), old["data"].pop("comment")
    assert new == old
    assert as_before.pop("text") == comment.pop("message") == "Good day"
    assert comment.pop("number") == 1
    assert comment == as_before


@pytest.mark.usefixtures("app")
def test_a_body_is_made_once_for_each_version() -> None:
    for version in (FIRST_VERSION, FIRST_VERSION, OLDER, OLDER, OLDER):
        factories.webhook(version=version)
    factories.sign()
    rows = factories.deliveries()
    assert len({row.payload for row in rows}) == 2
    assert [row.version for row in rows].count(OLDER) == 3
    assert steps_taken == ["comment.created"]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("version", "made_as"),
    [(LATER, FIRST_VERSION), ("2026-11-30", OLDER), ("2020-01-01", OLDER), ("", OLDER), ("x", FIRST_VERSION)],
)
def test_a_delivery_names_the_version_whose_shape_it_has(version: str, made_as: str) -> None:
    factories.webhook(version=version)
    factories.sign()
    row = factories.one()
    assert (row.version, '"text":' in row.payload) == (made_as, made_as == OLDER)


@pytest.mark.usefixtures("app")
def test_what_is_stored_keeps_its_version_when_the_webhook_changes_it(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/"), version=OLDER)
    factories.sign()
    factories.run_pass()
    factories.sign()
    first = factories.deliveries()[0]
    with database.writing() as session:
        row = session.get_one(Webhook, hook)
        webhooks.update(session, row, {"version": FIRST_VERSION}, factories.settings())
        redelivery.make_due(session, Delivery, [first.id], clock.now())
    factories.sign()
    factories.run_pass()
    shapes = [
        (one.headers["x-guestbook-version"], "text" in json.loads(one.body)["data"]["comment"])
        for one in receiver.requests
    ]
    assert sorted(shapes) == [(OLDER, True)] * 3 + [(FIRST_VERSION, False)]
    bodies_of_first = [one.body for one in receiver.requests if one.headers["webhook-id"] == first.event_id]
    assert bodies_of_first == [first.body] * 2


@pytest.mark.usefixtures("app")
def test_a_step_that_fails_costs_no_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_payload: Payload) -> Payload:
        raise KeyError("lost")

    monkeypatch.setitem(payload_versions.VERSIONS, FIRST_VERSION, fails)
    factories.webhook(version=OLDER)
    factories.sign("Kept")
    row = factories.one()
    assert (row.status, row.version, json.loads(row.payload)["data"]["comment"]["message"]) == (
        *("failed", FIRST_VERSION),
        "Kept",
    )
    assert row.last_error == "The format json failed (KeyError), so nothing was sent; kept as json."


def test_a_ping_an_example_and_a_fetched_delivery_have_the_version(app: Flask, owner: Owner) -> None:
    hook = added(owner, url="pull:", version=OLDER)
    owner.does(f"/admin/webhooks/{hook}/ping")
    owner.does(f"/admin/webhooks/{hook}/example", {"event": "comment.published"})
    taken = ApiClient(app, new_token()).get(f"/webhooks/{hook}/pending")["deliveries"]
    assert [one["headers"]["X-Guestbook-Version"] for one in taken] == [OLDER, OLDER]
    assert "text" in json.loads(taken[1]["payload"])["data"]["comment"]


# --- formats

WORDS = '{"said": {{ comment.text|tojson }}}'


@pytest.mark.usefixtures("app")
def test_a_template_sees_the_shape_of_its_webhook(receiver: Receiver) -> None:
    fields = {"url": receiver.url("/old"), "template": WORDS, "version": OLDER}
    with database.writing() as session:
        hook = webhooks.add(session, fields, factories.settings())
        webhooks.store_sample(session, hook, factories.settings())
        with pytest.raises(Refused):
            webhooks.update(session, hook, {"version": FIRST_VERSION}, factories.settings())
    factories.sign("Good day")
    factories.run_pass()
    said = [json.loads(one.body)["said"] for one in receiver.at("/old")]
    sample = EVENTS["comment.created"].sample_data()["comment"]["message"]
    assert sorted(said) == sorted([sample, "Good day"])


def test_chats_and_e_mails_are_the_same_in_every_version() -> None:
    given = EVENTS["comment.published"].sample_data()
    url = "https://api.telegram.org/bot1:a/sendMessage?chat_id=1"
    for name in set(formats.FORMATS) - {"json", "template", "webmention"}:
        made = [
            formats.render(name, FormatInput("comment.published", clock.now(), given, url, None, version))
            for version in (FIRST_VERSION, OLDER)
        ]
        assert made[0] == made[1], name
    assert steps_taken == []


# --- the owner


def test_a_new_webhook_gets_the_newest_version_and_an_older_one_keeps_its_own(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = added(owner)
    monkeypatch.setitem(payload_versions.VERSIONS, LATER, lambda payload: payload)
    second = added(owner)
    assert [factories.the(Webhook, one).version for one in (first, second)] == [FIRST_VERSION, LATER]
    page = owner.inert(f"/admin/webhooks/{first}")
    assert f"{FIRST_VERSION}; the newest is {LATER}" in page
    owner.does(f"/admin/webhooks/{first}", form(owner, name="Renamed", version=FIRST_VERSION))
    assert factories.the(Webhook, first).version == FIRST_VERSION


def test_the_version_is_changed_on_the_page_by_a_call_and_by_a_command(app: Flask, owner: Owner) -> None:
    hook, program = added(owner, version=OLDER), ApiClient(app, new_token())
    assert program.get(f"/webhooks/{hook}")["version"] == OLDER
    done = app.test_cli_runner().invoke(args=["webhooks", "update", hook, "--version", FIRST_VERSION])
    assert done.exit_code == 0, done.output
    shown = app.test_cli_runner().invoke(args=["webhooks", "show", hook, "--json"])
    assert json.loads(shown.stdout)["version"] == FIRST_VERSION
    assert program.patch(f"/webhooks/{hook}", {"version": OLDER})["version"] == OLDER
    owner.does(f"/admin/webhooks/{hook}", form(owner, name="One", version=FIRST_VERSION))
    assert program.get(f"/webhooks/{hook}")["version"] == FIRST_VERSION


def test_an_unknown_version_is_refused_with_a_sentence(app: Flask, owner: Owner) -> None:
    sentence = f"There is no version '2026-12-02'. Did you mean '{FIRST_VERSION}'?"
    hook = added(owner)
    refused = ApiClient(app, new_token()).refused("PATCH", f"/webhooks/{hook}", {"version": "2026-12-02"})
    assert refused == {"version": sentence}
    assert sentence in "".join(
        owner.refused(f"/admin/webhooks/{hook}", form(owner, name="One", version="2026-12-02")).itertext()
    )
    done = app.test_cli_runner().invoke(args=["webhooks", "update", hook, "--version", "2026-12-02"])
    assert (done.exit_code, factories.the(Webhook, hook).version) == (2, FIRST_VERSION)


def test_a_preview_has_the_version(app: Flask, owner: Owner) -> None:
    page = owner.inert(owner.post("/admin/webhooks/preview", form(owner, version=OLDER)))
    assert '"text": ' in page.replace("&#34;", '"')
    program = ApiClient(app, new_token())
    for asked, name in (({"version": OLDER}, "text"), ({}, "message")):
        body = program.post("/previews/webhook", {"format": "json", **asked}, 200)["body"]
        assert name in json.loads(body)["data"]["comment"]


def test_a_template_that_an_older_shape_lacks_is_refused() -> None:
    bodies.check_template(WORDS, ["comment.created"], OLDER)
    with pytest.raises(FormatError):
        bodies.check_template(WORDS, ["comment.created"], FIRST_VERSION)
