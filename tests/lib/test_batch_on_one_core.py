"""A pass keeps to one core as a batch job, and leaves its thread as it was."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from guestbook.lib.current_process import batch_on_one_core

# macOS has neither policies nor a choice of cores: there a pass runs without them.
pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="needs SCHED_BATCH, which is Linux's")


def state() -> tuple[int, int]:
    """The policy of this thread, and the number of its cores."""
    return os.sched_getscheduler(0), len(os.sched_getaffinity(0))


def meanwhile(policy: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """What a thread of this policy has meanwhile, and afterwards."""
    os.sched_setscheduler(0, policy, os.sched_param(0))
    with batch_on_one_core(), ThreadPoolExecutor(1) as threads:
        inside = threads.submit(state).result()
        assert state() == inside
    return inside, state()


def test_its_threads_are_batch_jobs_on_one_core_meanwhile_and_an_idle_job_stays_idle() -> None:
    cores = len(os.sched_getaffinity(0))
    for policy, becomes in ((os.SCHED_OTHER, os.SCHED_BATCH), (os.SCHED_IDLE, os.SCHED_IDLE)):
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(meanwhile, policy).result() == ((becomes, 1), (policy, cores))


def test_a_policy_that_an_administrator_has_chosen_meanwhile_stays() -> None:
    def change() -> int:
        with batch_on_one_core():
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(change).result() == os.SCHED_IDLE


@pytest.mark.parametrize("name", ["sched_setscheduler", "sched_setaffinity", "SCHED_BATCH"])
def test_a_host_that_forbids_it_or_does_not_know_it_runs_the_pass_all_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state()

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if name.isupper():
        monkeypatch.delattr(os, name)
    else:
        monkeypatch.setattr(os, name, refuse)
    with batch_on_one_core():
        pass
    monkeypatch.undo()
    assert state() == before
