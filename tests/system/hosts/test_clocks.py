"""The clocks of the machines differ by as much as docs/howto/run-on-several-machines.md allows: a minute."""

from collections import Counter
from datetime import timedelta

import pytest

from guestbook.lib import clock, retry_policy
from guestbook.queue import claims
from tests.support.receiver import Answer
from tests.system.hosts.conftest import Hook
from tests.system.hosts.driver import APART
from tests.system.hosts.fleet import Fleet, ended

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

PATHS = [f"/{number}" for number in range(4)]
EACH = 60
CLOCKS = ("clock_behind", "clock_ahead", None, None)  # of the machines
SHORT = {"GUESTBOOK_TIMEOUT": "5"}  # and with it the lease


def test_what_waits_in_the_memory_of_one_pass_is_not_overdue_for_one_whose_clock_is_ahead(
    fleet: Fleet, hook: Hook
) -> None:
    past = clock.now() - timedelta(minutes=5)
    passes = [
        fleet.start(number, "cron", "--stay", "--concurrency", "8", point=point, **SHORT)
        for number, point in enumerate(CLOCKS, 1)
    ]
    for one in passes:
        one.is_at_work(30)
    for path in PATHS:
        hook.receiver.answer(path, Answer(delay=0.4))  # so that each pass has time to look
        fleet.book.stock(fleet.book.webhook(hook.base_url + path), EACH, due_at=past)
    hook.receiver.wait_for(len(PATHS) * EACH)
    ended(passes)
    for path in PATHS:
        assert set(hook.receiver.event_ids(path).values()) == {1}
    rows = Counter((row.status, row.claims, row.attempts) for row in fleet.book.deliveries())
    assert rows == {("processed", 1, 1): len(PATHS) * EACH}
    assert min(row.processed for row in fleet.book.passes()) > 0
    fleet.book.check()


def test_the_longest_lease_of_a_machine_that_is_ahead_is_no_clock_jump_to_one_that_is_behind(
    fleet: Fleet, hook: Hook
) -> None:
    longest = 300.0
    until = clock.now() + APART + retry_policy.lease(longest) + claims.CLOCK_SKEW
    webhook_id = fleet.book.webhook(f"{hook.base_url}/")
    fleet.book.stock(webhook_id, 1, claimed_by="one ahead", claims=1, due_at=until)
    before = fleet.book.delivery()
    running = fleet.start(1, "cron", point="clock_behind", GUESTBOOK_TIMEOUT=f"{longest}")
    assert (running.wait(), running.printed) == (0, "")
    assert fleet.book.delivery() == before
    assert hook.receiver.requests == []
