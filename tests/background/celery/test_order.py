"""The order of a comment's events by way of the broker, while workers and the relay die by SIGKILL."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.background.celery.works import Works
from tests.support import amount, busy_comments
from tests.support.busy_comments import BusyComments
from tests.support.processes import wait_for
from tests.support.receiver import in_a_process, read_log

pytestmark = pytest.mark.needs("rabbitmq")
SEED = 20261127
KILLS = amount.kills(4)
STEPS = 12  # before each kill
WEBHOOKS = 3
CONCURRENCY = 8  # threads of a worker


@pytest.mark.timeout(200)
def test_kills_of_workers_and_relays_change_nothing_of_the_order_of_a_comments_events(
    works: Works, tmp_path: Path
) -> None:
    """The leases of the killed run out when nobody sends any more: a token does not name its worker."""
    works.environ |= {"GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 40)}
    luck, comments, log = random.Random(SEED), BusyComments(works.book, SEED), tmp_path / "log"
    with in_a_process(log, latency=(0.002, 0.05), failing=0.1, seed=SEED) as base_url:
        paths = busy_comments.webhooks(works.book, base_url, WEBHOOKS)
        relay, workers = works.start_relay("--stay"), [works.start_worker(CONCURRENCY) for _ in range(2)]
        for number in range(KILLS):
            for _ in range(STEPS):
                comments.act()
                time.sleep(luck.uniform(0, 0.02))
            enough = (
                len(read_log(log)) + 1
            )  # as a default, for a lambda sees the last one; mypy infers no type
            wait_for(lambda enough=enough: len(read_log(log)) >= enough, 40, works.show)  # type: ignore[misc]
            if number % 2:
                relay.kill()
                relay = works.start_relay("--stay")
            else:
                workers.pop(0).kill()
                workers.append(works.start_worker(CONCURRENCY))
        relay.terminate()
        assert relay.wait() in (0, -signal.SIGTERM), relay.printed
        for worker in workers:
            worker.stop()

        comments.all_due()
        with works.worker(CONCURRENCY), works.staying_relay():
            wait_for(lambda: not works.book.statuses()["new"], 60, works.show)
    works.book.check()
    assert comments.check(read_log(log), paths) > KILLS * STEPS / 2
