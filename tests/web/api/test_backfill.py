"""Past events for a webhook by the API: counted, sent in parts, refused."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook.comments import backfill as backfilling
from guestbook.comments import backfill as backfills
from guestbook.lib import clock
from guestbook.web.api import webhooks
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient

SINCE = {"since": clock.to_text(clock.now() - timedelta(days=1))}
BOTH = "comment.created comment.published"


def test_they_are_counted_and_sent_in_parts(
    app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfills, "STORED_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "MOST_BACKFILLED", 3)
    with app.app_context():
        for _ in range(3):
            factories.sign()
        path = f"/webhooks/{factories.webhook(events=BOTH)}/backfill"
    counted = program.post(path, SINCE | {"dry_run": True}, status=200)
    assert counted == {
        "deliveries": 6, "comments": 3, "events": {"comment.created": 3, "comment.published": 3},
        "left": 0, "next_after": None, "there_already": 0, "maybe_pruned": 0,
    }  # fmt: skip
    assert program.get("/deliveries")["deliveries"] == []
    first = program.post(path, SINCE, status=202)
    assert (first["deliveries"], first["comments"], first["left"]) == (4, 2, 2)
    second = program.post(path, SINCE, status=202)
    assert (second["deliveries"], second["there_already"], second["left"]) == (2, 4, 0)
    assert second["next_after"] is None
    nothing = program.post(path, SINCE, status=200)
    assert (nothing["deliveries"], nothing["events"], nothing["there_already"]) == (0, {}, 6)
    assert len(program.get("/deliveries")["deliveries"]) == 6
    entry = program.get("/audit?action=backfilled&limit=1")["audit"][0]
    assert (entry["actor"], entry["object"]) == ("token", "webhook")


def test_a_call_goes_on_where_the_last_one_ended(
    app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "READ_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "LOOKED_AT_ONCE", 2)
    with app.app_context():
        old = factories.webhook()
        comments = [factories.sign() for _ in range(4)]
        path = f"/webhooks/{old}/backfill"
    first = program.post(path, SINCE, status=200)
    assert (first["deliveries"], first["there_already"], first["next_after"]) == (0, 2, comments[1])
    second = program.post(path, SINCE | {"after": first["next_after"]}, status=200)
    assert (second["there_already"], second["next_after"]) == (2, comments[3])
    with app.app_context():
        path = f"/webhooks/{factories.webhook()}/backfill"
    sent = program.post(path, SINCE | {"after": comments[0]}, status=202)
    assert (sent["deliveries"], sent["left"], sent["next_after"]) == (2, 0, comments[2])
    with app.app_context():
        assert [row.comment_id for row in factories.deliveries()][4:] == comments[1:3]
    assert program.refused("POST", path, SINCE | {"after": "x"}).keys() == {"after"}


def test_a_long_count_ends_early(app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "READ_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "COUNT_LIMIT", 1)
    with app.app_context():
        comments = [factories.sign() for _ in range(3)]
        path = f"/webhooks/{factories.webhook()}/backfill"
    counted = program.post(path, SINCE | {"dry_run": True}, status=200)
    assert (counted["deliveries"], counted["next_after"]) == (2, comments[1])


def test_what_is_wrong_is_refused(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        path = f"/webhooks/{factories.webhook(events='ping')}/backfill"
    sentence = program.ask("POST", path, SINCE).get_json()["error"]["message"]
    assert sentence.startswith("This webhook gets ping. Past events are comment.created, ")
    assert program.refused("POST", path, {"since": "yesterday"}).keys() == {"since"}
    assert program.refused("POST", path, {}).keys() == {"since"}
    assert program.ask("POST", f"/webhooks/{NOBODY}/backfill", SINCE).status_code == 404


@pytest.mark.parametrize(
    ("since", "deliveries"), [("0001-01-01T00:00:00+23:59", 1), ("9999-12-31T23:59:59-23:59", 0)]
)
def test_the_time_may_be_one_that_utc_cannot_have(
    app: Flask, program: ApiClient, since: str, deliveries: int
) -> None:
    with app.app_context():
        factories.sign()
        path = f"/webhooks/{factories.webhook()}/backfill"
    counted = program.post(path, {"since": since, "dry_run": True}, status=200)
    assert counted["deliveries"] == deliveries
