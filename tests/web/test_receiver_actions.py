"""What a receiver may do with its link: redeliver, test and rotate, and nothing from another site."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.lib.validate import PULL_URL
from guestbook.outbound import receiver_links
from guestbook.storage.models import AuditEntry, Delivery, ReceiverLink, Webhook
from guestbook.web import delivery_log_for_receivers
from tests.support import factories
from tests.support.receiver_person import ReceiverPerson
from tests.support.visitor import attributes, by_class, parse, text
from tests.web.conftest import Later


def audited() -> list[AuditEntry]:
    """The entries after that of the link itself."""
    return [entry for entry in factories.rows(AuditEntry) if entry.action != "added"]


def test_redelivering_makes_it_due_and_is_in_the_audit_log(ada: ReceiverPerson) -> None:
    delivery_id = factories.delivery(ada.webhook_id, status="failed")
    answer = ada.act(f"deliveries/{delivery_id}/redeliver")
    assert answer.status_code == 303
    assert "It is due now. The next pass sends it." in text(ada.page(answer.headers["Location"]))
    row = factories.the(Delivery, delivery_id)
    assert (row.status, row.due_at is not None) == ("new", True)
    [entry] = audited()
    assert (entry.action, entry.object, entry.object_id) == ("redelivered", "delivery", delivery_id)
    assert (entry.actor, entry.actor_id, entry.actor_name) == ("receiver", ada.link_id, "Ada")


def test_what_was_given_up_lately_is_redelivered_after_a_look(ada: ReceiverPerson) -> None:
    hours = {number: clock.now() - timedelta(hours=number) for number in (1, 20, 30)}
    other = factories.webhook(name="Other")
    rows = {
        number: factories.delivery(ada.webhook_id, status="failed", created_at=created)
        for number, created in hours.items()
    }
    foreign = factories.delivery(other, status="failed")
    done = factories.delivery(ada.webhook_id, status="processed")
    choices = ada.log().findall(".//select[@id='since']/option")
    assert [one.attrib["value"] for one in choices] == list(delivery_log_for_receivers.PERIODS)
    page = ada.page(f"{ada.home}redeliver?since=24h")
    assert text(page.find(".//h1")) == "Redeliver 2 deliveries?"
    assert {row.status for row in all_of().values()} == {"failed", "processed"}
    since = attributes(page, ".//input[@name='since']")["value"]
    answer = ada.act("redeliver", since=since)
    assert answer.status_code == 303
    assert "2 deliveries are due now. The next pass sends them." in text(ada.page(answer.headers["Location"]))
    status = {row_id: row.status for row_id, row in all_of().items()}
    waiting, others = dict.fromkeys((rows[1], rows[20]), "new"), dict.fromkeys((rows[30], foreign), "failed")
    assert status == {**waiting, **others, done: "processed"}
    [entry] = audited()
    assert (entry.action, entry.number) == ("redelivered", 2)
    assert (entry.actor, entry.actor_name) == ("receiver", "Ada")
    assert text(ada.page(f"{ada.home}redeliver?since=24h").find(".//h1")) == "Nothing to redeliver"


def all_of() -> dict[str, Delivery]:
    return {row.id: row for row in factories.deliveries()}


def test_what_is_skipped_and_who_fetches_is_said_before(app: Flask) -> None:
    pulled = factories.webhook(PULL_URL)
    factories.delivery(pulled, status="failed")
    factories.delivery(pulled, status="failed", payload="", erased_at=clock.now())
    person = ReceiverPerson(app, pulled).come_in()
    shown = text(person.page(f"{person.home}redeliver?since=1h"))
    assert "Redeliver 1 delivery?" in shown
    assert "Your listener fetches them" in shown
    assert "1 more is skipped: its comment was deleted." in shown


@pytest.mark.parametrize("since", ["", "soon", "2027-13-01", "0001-01-01T00:00+23:00"])
def test_without_a_time_nothing_is_redelivered(ada: ReceiverPerson, since: str) -> None:
    factories.delivery(ada.webhook_id, status="failed")
    assert ada.get(f"{ada.home}redeliver", query_string={"since": since}).status_code == 422
    answer = ada.act("redeliver", since=since)
    assert answer.status_code == 422
    assert "is no time such as" in answer.text
    assert [row.status for row in all_of().values()] == ["failed"]


@pytest.mark.parametrize("event", ["ping", "comment.replied"])
def test_a_test_is_sent_through_the_queue(ada: ReceiverPerson, event: str) -> None:
    answer = ada.act("test", event=event)
    assert answer.status_code == 303
    page = ada.page(answer.headers["Location"])
    assert text(page.find(".//h1")) == event
    assert "The next pass sends it." in text(page)
    row = factories.one()
    assert (row.event, row.webhook_id, row.status) == (event, ada.webhook_id, "new")


def test_an_event_that_does_not_exist_is_refused(ada: ReceiverPerson) -> None:
    for event in ("", "nothing", "<b>"):
        answer = ada.act("test", event=event)
        assert answer.status_code == 422
    assert "There is no event" in answer.text
    assert factories.deliveries() == []


def rotating(person: ReceiverPerson, **more: str) -> dict[str, str]:
    """The fields of the form."""
    mark = attributes(person.log(), ".//input[@name='replaces']")
    return {"replaces": mark["value"], "hours": "24", **more}


def test_a_new_secret_is_shown_once_beside_the_old_one(app: Flask, ada: ReceiverPerson, later: Later) -> None:
    old = factories.the(Webhook, ada.webhook_id).secret
    form = rotating(ada, hours="72")
    there = ada.act("rotate", **form).headers["Location"]
    now = factories.the(Webhook, ada.webhook_id)
    assert (now.previous_secret, now.secret == old) == (old, False)
    assert now.previous_secret_expires_at
    assert timedelta(hours=71) < now.previous_secret_expires_at - clock.now() < timedelta(hours=73)
    assert now.secret not in there
    shown = ada.page(there)
    assert text(by_class(shown, "secret")[0]) == now.secret
    assert "The old secret also signs until" in text(shown)
    assert old not in text(shown)
    again = ada.act("rotate", **form)  # a double click
    assert "rotated already" in text(ada.page(again.headers["Location"]))
    assert factories.the(Webhook, ada.webhook_id).secret == now.secret
    other = ReceiverPerson(app, ada.webhook_id).come_in()
    assert now.secret not in text(other.page(other.home + "?" + there.partition("?")[2]))
    later(121)
    assert now.secret not in text(ada.page(there))
    [entry] = audited()
    assert (entry.action, entry.object, entry.detail) == ("rotated", "webhook", "secret")
    assert (entry.object_id, entry.actor, entry.actor_name) == (ada.webhook_id, "receiver", "Ada")


def test_wrong_rotations_change_nothing(ada: ReceiverPerson) -> None:
    old, form = factories.the(Webhook, ada.webhook_id).secret, rotating(ada)
    for hours in ("", "5", "-1", "é"):
        assert ada.act("rotate", **form | {"hours": hours}).status_code == 422
    factories.written(lambda session: session.get_one(Webhook, ada.webhook_id).use_for_signing("key"))
    answer = ada.act("rotate", **form)
    assert answer.status_code == 422
    assert "only a key signs" in answer.text
    assert factories.the(Webhook, ada.webhook_id).secret == old


@pytest.mark.parametrize("sign_with", ["key", "both"])
def test_a_key_is_rotated_beside_the_old_one(ada: ReceiverPerson, sign_with: str) -> None:
    factories.written(lambda session: session.get_one(Webhook, ada.webhook_id).use_for_signing(sign_with))
    before, page = factories.the(Webhook, ada.webhook_id), ada.log()
    assert before.public_key
    assert f"{ada.home}rotate-key" in [form.attrib.get("action") for form in page.iter("form")]
    form = {"replaces": before.public_key, "hours": "72"}
    shown = ada.page(ada.act("rotate-key", **form).headers["Location"])
    now = factories.the(Webhook, ada.webhook_id)
    assert (now.previous_signing_key, now.secret) == (before.signing_key, before.secret)
    assert now.signing_key != before.signing_key
    assert now.previous_signing_key_expires_at
    assert timedelta(hours=71) < now.previous_signing_key_expires_at - clock.now() < timedelta(hours=73)
    assert text(shown.find(".//code[@id='public-key']")) == now.public_key
    assert "The old key also signs until" in text(shown)
    again = ada.act("rotate-key", **form)  # a double click
    assert "rotated already" in text(ada.page(again.headers["Location"]))
    assert factories.the(Webhook, ada.webhook_id).signing_key == now.signing_key
    assert ada.act("rotate-key", **form | {"hours": "5"}).status_code == 422
    [entry] = audited()
    assert (entry.action, entry.object_id, entry.detail) == ("rotated", ada.webhook_id, "key")
    assert (entry.actor, entry.actor_name) == ("receiver", "Ada")


def test_without_the_mark_of_its_own_page_no_form_is_taken(app: Flask, ada: ReceiverPerson) -> None:
    delivery_id = factories.delivery(ada.webhook_id, status="failed")
    form = rotating(ada)
    other = ReceiverPerson(app, ada.webhook_id).come_in()
    foreign = attributes(other.log(), ".//input[@name='form_key']")
    for mark in ({}, {"form_key": ""}, {"form_key": "é"}, {"form_key": foreign["value"]}):
        for path in ("rotate", "rotate-key", "test", "redeliver", f"deliveries/{delivery_id}/redeliver"):
            sent = form | {"event": "ping", "since": "1h"} | mark
            answer = ada.open("POST", ada.home + path, data=sent)
            assert (answer.status_code, text(parse(answer).find(".//h1"))) == (400, "This page has expired")
    assert audited() == []
    assert len(factories.deliveries()) == 1


def test_a_link_that_was_revoked_does_nothing_more(ada: ReceiverPerson) -> None:
    form = rotating(ada)
    mark = attributes(ada.log(), ".//input[@name='form_key']")
    factories.written(
        lambda session: receiver_links.revoke(session, session.get_one(ReceiverLink, ada.link_id))
    )
    answer = ada.open("POST", f"{ada.home}rotate", data=form | {"form_key": mark["value"]})
    assert answer.status_code == 410
    assert factories.the(Webhook, ada.webhook_id).previous_secret is None


def test_nothing_goes_to_a_disabled_webhook_but_its_log_stays_open(ada: ReceiverPerson) -> None:
    delivery_id = factories.delivery(ada.webhook_id, status="failed")
    factories.written(
        lambda session: session.get_one(Webhook, ada.webhook_id).disable(clock.now(), "failing")
    )
    page = ada.log()
    assert "disabled" in text(page)
    assert [text(one) for one in page.findall(".//form//button")] == ["Show", "Rotate secret"]
    assert ada.get(f"{ada.home}redeliver?since=1h").status_code == 403
    for path in ("test", "redeliver", f"deliveries/{delivery_id}/redeliver"):
        answer = ada.act(path, event="ping", since="1h")
        assert (answer.status_code, text(parse(answer).find(".//h1"))) == (403, "This webhook is disabled")
    assert factories.one().status == "failed"


def test_too_many_actions_wait_whatever_the_link(app: Flask, ada: ReceiverPerson, later: Later) -> None:
    later.stand_still()
    mark = attributes(ada.log(), ".//input[@name='form_key']")
    sent = {"form_key": mark["value"], "event": "nothing"}
    for _ in range(delivery_log_for_receivers.MOST_ACTIONS):
        assert ada.open("POST", f"{ada.home}test", data=sent).status_code == 422
    for person in (ada, ReceiverPerson(app, ada.webhook_id).come_in()):
        answer = person.act("test", event="ping")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "601")
        assert "at most 30 actions" in answer.text
    assert ReceiverPerson(app).come_in().act("test", event="ping").status_code == 303
    later(601)
    assert ada.act("test", event="ping").status_code == 303
