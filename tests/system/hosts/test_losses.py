"""A machine dies, or its network does: the others take over its work, and it does no harm when it is back."""

import time
from collections import Counter

import pytest

from tests.support import processes
from tests.support.receiver import HANG, OK, Answer, Receiver
from tests.system.hosts.conftest import Hook
from tests.system.hosts.fleet import MACHINES, Fleet, ended

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

PATHS = [f"/{number}" for number in range(4)]
EACH = 80
LOST = MACHINES[0]
OTHERS = MACHINES[1:]
CRON = ("cron", "--stay", "--concurrency", "16")
SOON = 20  # seconds, where a connection is given up after three and a new one after one


def test_what_a_killed_machine_had_in_hand_is_done_by_the_others(fleet: Fleet, hook: Hook) -> None:
    passes = fleet.start_everywhere(*CRON)
    _stock(fleet, hook)
    hook.receiver.wait_for(len(PATHS) * EACH // 4)
    victim = passes.pop(0)
    victim.kill()
    in_hand = fleet.book.expire(f"{victim.name}.")
    _all_is_done(fleet, hook.receiver, in_hand)
    ended(passes)


def test_a_machine_that_is_cut_off_gives_up_and_the_others_do_its_work(fleet: Fleet, hook: Hook) -> None:
    victim = fleet.start(LOST, *CRON, point="hasty", GUESTBOOK_TIMEOUT="2")
    passes = [victim, *(fleet.start(number, *CRON) for number in OTHERS)]
    for one in passes:
        one.is_at_work()
    _stock(fleet, hook)
    hook.receiver.wait_for(len(PATHS) * EACH // 4)
    fleet.lan.cut(LOST)
    cut_at = time.monotonic()
    processes.wait_for(lambda: fleet.book.statuses()["new"] == fleet.book.leased(), 20)
    in_hand = fleet.book.expire(f"{victim.name}.")
    _all_is_done(fleet, hook.receiver, in_hand)
    assert victim.wait(SOON) == 75
    assert time.monotonic() - cut_at < SOON
    (line,) = victim.printed.splitlines()
    assert line.startswith("The database cannot be used now: ")
    ended(passes[1:])


def test_when_the_network_is_back_a_late_answer_changes_no_row(fleet: Fleet, hook: Hook) -> None:
    slow = _answer_the_first_late(hook.receiver)
    for path in PATHS:
        fleet.book.webhook(hook.base_url + path)
    victim = fleet.start(LOST, *CRON, GUESTBOOK_TIMEOUT="60")
    victim.is_at_work()
    fleet.book.publish(3)
    hook.receiver.wait_for(slow)
    fleet.lan.cut(LOST)
    assert fleet.book.expire() == 3 * len(PATHS)
    others = [fleet.start(number, *CRON) for number in OTHERS]
    processes.wait_for(lambda: not fleet.book.statuses()["new"], 20)
    rows, attempts = fleet.book.deliveries(), fleet.book.attempts()
    hook.receiver.release()
    fleet.lan.plug_back(LOST)
    victim.terminate()
    code, lines = victim.wait(), victim.printed.splitlines()
    assert (code, lines) == (0, []) or (code, len(lines)) == (75, 1), lines  # it may just look for work
    ended(others)
    assert (fleet.book.deliveries(), fleet.book.attempts()) == (rows, attempts)
    assert len(hook.receiver.requests) <= 2 * len(rows)  # the lease of its own clock went on
    assert {row.host: row.processed for row in fleet.book.passes()}["machine1"] == 0
    fleet.book.check()


def _stock(fleet: Fleet, hook: Hook) -> None:
    for path in PATHS:
        hook.receiver.answer(path, Answer(delay=0.06))
        fleet.book.stock(fleet.book.webhook(hook.base_url + path), EACH)


def _all_is_done(fleet: Fleet, receiver: Receiver, in_hand: int) -> None:
    """Nothing was lost, and no more was sent twice than one pass had in hand."""
    processes.wait_for(lambda: not fleet.book.statuses()["new"], 20)
    assert set(fleet.book.statuses()) == {"processed"}
    arrivals = sum((receiver.event_ids(path) for path in PATHS), Counter())
    assert len(arrivals) == len(PATHS) * EACH
    assert max(arrivals.values()) <= 2
    assert arrivals.total() - len(arrivals) <= in_hand
    fleet.book.check()


def _answer_the_first_late(receiver: Receiver) -> int:
    """Let the first requests to each path hang until they are released; return how many."""
    both = 2  # at once go to a webhook of which nothing is known yet
    for path in PATHS:
        receiver.answer(path, *[HANG] * both, OK)
    return both * len(PATHS)
