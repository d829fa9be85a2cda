"""`scripts/bench soak` lets everything happen at once, here for some seconds, and complains of losses."""

from dataclasses import replace

import pytest

from scripts.benchmarks import soak
from scripts.benchmarks.support import outcome
from scripts.benchmarks.support.outcome import Account, Growth, Sample
from tests.support import benches

FINE = Account(lost={"quick": 0}, unrecorded=0, explained=0, unprocessed=0)
FLAT = {"web": Growth(60.0, 62.0), "cron": Growth(50.0, 50.0)}


def test_everything_accepted_in_some_seconds_has_arrived() -> None:
    done = benches.run(soak.soak, "--minutes", "0.05", "--comments", "10", "--pass-seconds", "4")
    assert done.exit_code == 0, done.output
    found = {line[0]: line[1:] for line in benches.cells(done.stdout)}
    assert int(found["comments accepted"][0]) > 10
    assert int(found["webhooks to us accepted"][0]) > 3
    assert int(found["POST"][0]) == int(found["comments accepted"][0])
    assert found["web, MB"][0] > "10"
    assert [found[f"lost to: {one.name}"] for one in soak.BEHAVIOURS if one.is_healthy] == [["0"]] * 4
    assert not [name for name in found if name.startswith("refused")]


def test_a_good_run_has_no_complaint() -> None:
    assert soak.complaints(FINE, FLAT, "guestbook: 1 delivery was given up.") == []


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        (replace(FINE, lost={"quick": 2, "50 ms": 0}), "2 comments never came to quick."),
        (replace(FINE, unprocessed=1), "1 webhooks to us have become no comment."),
        (replace(FINE, unrecorded=3, explained=2), "3 requests are on no record, and kills explain 2."),
    ],
)
def test_losses_and_doubles_are_complaints(account: Account, sentence: str) -> None:
    assert soak.complaints(account, FLAT, "") == [sentence]


def test_doubles_that_a_kill_explains_are_no_complaint() -> None:
    assert soak.complaints(replace(FINE, unrecorded=2, explained=2), FLAT, "") == []


def test_growing_memory_and_a_broken_pass_are_complaints() -> None:
    grown = {**FLAT, "web": Growth(60.0, 67.0)}
    output = "Traceback (most recent call last):\nValueError: oops\n"
    expected = ["web, MB: 12% more than after the first minute.", "A pass broke down: ValueError: oops"]
    assert soak.complaints(FINE, grown, output) == expected


def test_growth_is_measured_from_the_first_minute_to_the_last() -> None:
    taken = [
        Sample(second, web=40 + min(second, 60) / 3 + second / 60, cron=0, waiting=0)
        for second in range(10, 601, 10)
    ]
    grown = outcome.growth(taken, "web", 10)
    assert (grown.first, grown.last) == (61.5, 70)
