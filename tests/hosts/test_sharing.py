"""Four passes on four machines share the work: each delivery is sent once, each event has one effect."""

from collections import Counter

import pytest

from tests.hosts.conftest import Hook
from tests.hosts.fleet import MACHINES, Fleet, ended, name

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

PATHS = [f"/{number}" for number in range(5)]
EACH = 400  # deliveries to each of them
FAIR = 0.05  # of the work, that every machine has a part of


def test_four_passes_at_once_send_each_delivery_once_and_each_does_its_part(fleet: Fleet, hook: Hook) -> None:
    passes = fleet.start_everywhere("cron", "--stay")
    for path in PATHS:
        fleet.book.stock(fleet.book.webhook(hook.base_url + path), EACH)
    hook.receiver.wait_for(len(PATHS) * EACH, seconds=60)
    ended(passes)
    for path in PATHS:
        assert len(hook.receiver.event_ids(path)) == len(hook.receiver.at(path)) == EACH
    rows = Counter((row.status, row.claims, row.attempts) for row in fleet.book.deliveries())
    assert rows == {("processed", 1, 1): len(PATHS) * EACH}
    parts = {row.host: row.processed for row in fleet.book.passes()}
    print(parts)
    assert set(parts) == {name(number) for number in MACHINES}
    assert sum(parts.values()) == len(PATHS) * EACH
    assert min(parts.values()) >= FAIR * len(PATHS) * EACH
    fleet.book.check()
