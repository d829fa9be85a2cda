"""The figures of the overview and of the pages of webhooks and sources, by the API."""

from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient


def test_a_new_book_has_figures(program: ApiClient) -> None:
    found = program.get("/statistics")
    assert found["cron"]["state"] == "never"
    assert found["comments"] == {"published": 0, "held": 0, "spam": 0, "trash": 0}
    assert (found["webhooks"], found["sources"], found["held_since"]) == ([], [], None)
    assert (len(found["hours"]), len(found["days"])) == (24, 30)


def test_they_say_what_waits_and_what_failed(program: ApiClient) -> None:
    hook, source = factories.webhook(failing_since=clock.now()), factories.source()
    factories.sign(verdict=Classification("held", ("Why",)))
    factories.sign(verdict=Classification("spam", ("Why",)))
    failed = factories.delivery(hook, status="failed", attempts=1, claims=1)
    factories.attempt(failed)
    factories.inbound(source)
    factories.inbound(source, status="failed", error="Broken")
    found = program.get("/statistics")
    assert (found["comments"]["held"], found["deliveries_waiting"], found["deliveries_failed"]) == (1, 1, 1)
    assert (found["inbound_events_waiting"], found["inbound_events_failed"]) == (1, 1)
    assert (bool(found["held_since"]), found["spam_not_looked_at"]) == (True, 1)
    assert sum(bar["failed"] for bar in found["days"]) == 1
    [of_hook], [of_source] = found["webhooks"], found["sources"]
    assert (of_hook["id"], of_hook["state"], of_hook["failed_lately"]) == (hook, "failing", 1)
    assert (of_hook["attempts"], of_hook["successes"], of_hook["median_milliseconds"]) == (1, 0, 12)
    assert (of_hook["waiting"], of_hook["due"]) == (1, 1)
    assert (of_source["id"], of_source["state"], of_source["waiting"]) == (source, "failing", 1)
    assert program.get(f"/sources/{source}/statistics") == of_source


def test_a_webhook_s_attempts_and_next_deliveries(program: ApiClient) -> None:
    hook = factories.webhook()
    done = factories.delivery(hook, status="processed", attempts=2, claims=2)
    factories.attempt(done)
    factories.attempt(done, number=2, status_code=204, error=None, milliseconds=20)
    waiting = factories.delivery(hook)
    found = program.get(f"/webhooks/{hook}/statistics")
    assert (found["state"], found["waiting"]) == ("well", 1)
    day = {"attempts": 2, "successes": 1, "median_milliseconds": 12, "percentile_95_milliseconds": 20}
    assert found["day"] == day
    assert {one["succeeded"] for one in found["last_attempts"]} == {True, False}
    assert [row["id"] for row in found["next_deliveries"]] == [waiting]
    assert "payload" not in found["next_deliveries"][0]
    for path in (f"/webhooks/{NOBODY}/statistics", f"/sources/{NOBODY}/statistics"):
        program.get(path, 404)


def test_a_pause_ends_where_a_program_says_that_it_is_not_disabled(program: ApiClient) -> None:
    hook = factories.webhook(paused_until=clock.from_text("2999-01-31"), failing_since=clock.now())
    assert program.get("/statistics")["webhooks"][0]["state"] == "paused"
    program.patch(f"/webhooks/{hook}", {"disabled": False})
    assert factories.the(Webhook, hook).paused_until is None
