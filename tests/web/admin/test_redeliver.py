"""Redelivery of one delivery, of a selection and of all that failed; the number is shown first."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queue import redelivery
from guestbook.storage.models import Delivery, Webhook
from guestbook.web.admin import queue_list
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Receiver
from tests.support.visitor import parse, text
from tests.web.admin.conftest import Store

LIST = "/admin/deliveries/"
HOUR = timedelta(hours=1)


def the(app: Flask, key: str) -> Delivery:
    with app.app_context():
        row: Delivery = factories.the(Delivery, key)
        return row


@pytest.mark.parametrize("status", ["processed", "failed", "new"])
def test_a_button_makes_one_due_again(owner: Owner, app: Flask, hook: str, store: Store, status: str) -> None:
    waits = {"due_at": clock.now() + HOUR} if status == "new" else {}
    key = store(hook, status=status, attempts=3, claims=3, **waits)
    page = owner.does(f"{LIST}{key}/redeliver")
    assert "It is due now. The next pass sends it." in text(page)
    assert ("replaces the scheduled retry" in text(page)) is (status == "new")
    row = the(app, key)
    assert (row.status, row.schedule_start) == ("new", 3)
    assert row.due_at is not None
    assert row.due_at <= clock.now()


def test_redelivery_for_a_disabled_webhook_says_that_it_waits(owner: Owner, app: Flask, store: Store) -> None:
    with app.app_context():
        key = store(factories.webhook(disabled_at=clock.now(), disabled_reason="gone"), status="failed")
    assert "waits until its webhook is enabled" in text(owner.does(f"{LIST}{key}/redeliver"))


def test_what_a_pass_has_in_hand_is_left_alone(owner: Owner, app: Flask, hook: str, store: Store) -> None:
    key = store(hook, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    assert "A pass is sending it now" in text(owner.does(f"{LIST}{key}/redeliver"))
    assert the(app, key).claimed_by == "a pass"
    page = owner.page(f"{LIST}redeliver?id={key}")
    assert "Nothing to redeliver" in text(page)
    assert page.findall(".//main//form") == []
    assert "0 deliveries are due now" in text(owner.does(f"{LIST}redeliver", {"id": [key]}))
    assert the(app, key).claimed_by == "a pass"


def test_a_listener_fetches_what_is_redelivered_to_it(owner: Owner, app: Flask, store: Store) -> None:
    with app.app_context():
        hook = factories.webhook("pull:")
    key = store(hook, status="failed")
    leased = store(hook, claimed_by="a listener", claims=1, due_at=clock.now() + HOUR)
    said = text(owner.page(f"{LIST}redeliver?id={key}&id={leased}"))
    assert "A listener fetches them with the same id" in said
    assert "Its receiver fetches them. 1 more is skipped: its receiver has it now." in " ".join(said.split())
    assert "1 delivery is due now. A listener fetches it." in text(
        owner.does(f"{LIST}redeliver", {"id": [key]})
    )
    assert "It is due now. Its receiver fetches it." in text(owner.does(f"{LIST}{key}/redeliver"))
    assert "Its receiver has fetched it, so nothing" in text(owner.does(f"{LIST}{leased}/redeliver"))
    assert "Their receiver has all of them now." in text(owner.page(f"{LIST}redeliver?id={leased}"))
    assert "pass" not in said


def sent_by(page: Any) -> dict[str, list[str]]:
    """What the button of the question sends."""
    fields: dict[str, list[str]] = {}
    for one in page.findall(".//main//form[@method='post']/input"):
        fields.setdefault(one.attrib["name"], []).append(one.attrib["value"])
    return fields


def test_a_selection_is_counted_before_anything_happens(
    owner: Owner, app: Flask, hook: str, store: Store
) -> None:
    with app.app_context():
        asleep = factories.webhook(name="Asleep <b>", disabled_at=clock.now(), disabled_reason="by_hand")
    keys = [store(hook, status="failed"), store(hook, status="processed"), store(asleep, status="failed")]
    leased = store(hook, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    other = store(hook, status="failed")
    query = "&".join(f"id={key}" for key in (*keys, leased, keys[0], "0" * 32))
    page = owner.page(f"{LIST}redeliver?{query}")
    said = " ".join(text(page).split())
    assert "Redeliver 3 deliveries?" in said
    assert "Asleep <b> 1 Disabled: its deliveries wait until you enable it." in said
    assert "Chat 2 1 more is skipped: a pass is sending it now." in said
    assert [the(app, key).status for key in keys] == ["failed", "processed", "failed"]
    assert "3 deliveries are due now" in text(owner.does(f"{LIST}redeliver", sent_by(page)))
    assert [the(app, key).status for key in keys] == ["new"] * 3
    assert the(app, other).status == "failed"
    assert the(app, leased).claimed_by == "a pass"


def test_all_that_failed_since_are_counted_and_go_in_batches(
    owner: Owner, app: Flask, hook: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    with app.app_context():
        other = factories.webhook(name="Other")
    now = clock.now()
    mine = [store(hook, status="failed", created_at=now - (hours + 0.5) * HOUR) for hours in range(7)]
    store(other, status="failed")
    done = store(hook, status="processed")
    ask = f"{LIST}redeliver?failed=1"
    counts = (("", 8), (f"&webhook={other}", 1), ("&since=3h", 4), (f"&webhook={hook}&since=3h", 3))
    for query, count in counts:
        number = "1 delivery" if count == 1 else f"{count} deliveries"
        assert f"Redeliver {number}?" in text(owner.page(ask + query))
    page = owner.page(f"{ask}&webhook={hook}&since=5h")
    assert [the(app, key).status for key in mine] == ["failed"] * 7
    assert "5 deliveries are due now" in text(owner.does(f"{LIST}redeliver", sent_by(page)))
    assert [the(app, key).status for key in mine] == ["new"] * 5 + ["failed"] * 2
    assert the(app, done).status == "processed"


NO_CHOICE: list[tuple[dict[str, object], str]] = [
    ({}, "First select the deliveries"),
    ({"id": [f"{number:032x}" for number in range(501)]}, "You selected 501 deliveries. At most 500"),
    ({"failed": "1", "since": "soon"}, "is no time such as"),
    ({"failed": "1", "webhook": "nobody"}, "This webhook no longer exists."),
]


def test_a_choice_that_is_none_gets_a_sentence(owner: Owner) -> None:
    for fields, sentence in NO_CHOICE:
        confirmation = owner.get(f"{LIST}redeliver", query_string=fields)
        for answer in (confirmation, owner.post(f"{LIST}redeliver", fields)):
            assert answer.status_code == 422
            assert sentence in text(parse(answer))


def test_as_many_as_may_be_can_be_chosen(owner: Owner, hook: str, store: Store) -> None:
    keys = [store(hook, status="failed") for _ in range(3)] + [f"{number:032x}" for number in range(497)]
    assert len(keys) == queue_list.MOST_IDS
    assert "3 deliveries are due now" in text(owner.does(f"{LIST}redeliver", {"id": keys}))


def test_an_id_that_is_none_is_not_found(owner: Owner) -> None:
    assert owner.get(f"{LIST}redeliver?id=1").status_code == 404
    assert owner.post(f"{LIST}redeliver", {"id": "x' OR '1"}).status_code == 404


def test_to_look_changes_nothing(owner: Owner, app: Flask, hook: str, store: Store) -> None:
    key = store(hook, status="failed")
    before = vars(the(app, key)).copy()
    for path in ("", key, f"{key}/payload", f"{key}/explain", f"redeliver?id={key}", "redeliver?failed=1"):
        assert owner.get(LIST + path).status_code == 200
    assert owner.get(f"{LIST}{key}/redeliver").status_code in (404, 405)
    after = vars(the(app, key)).copy()
    assert {k: v for k, v in after.items() if k[0] != "_"} == {k: v for k, v in before.items() if k[0] != "_"}


def test_redelivered_ones_are_sent_with_the_same_id_and_body(
    owner: Owner, app: Flask, receiver: Receiver
) -> None:
    with app.app_context():
        factories.webhook(receiver.url())
        factories.sign()
        factories.run_pass()
        key = factories.one().id
    owner.does(f"{LIST}{key}/redeliver")
    with app.app_context():
        factories.run_pass()
        assert factories.the(Webhook, factories.one().webhook_id).failures_in_a_row == 0
    first, second = receiver.requests
    assert (first.event_id, first.body) == (second.event_id, second.body)
    assert "a redelivery" in text(owner.page(LIST + key))
