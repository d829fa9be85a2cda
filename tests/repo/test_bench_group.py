"""`scripts/bench` looks at the load before it starts a bench."""

import math
import re

import pytest

from scripts.benchmarks import __main__ as group
from tests.support import benches

LOAD = re.compile(r"^- load: \d+\.\d\d in the last minute, before this bench\n")
NAMED = ("latency", "--database", "oracle://host/name")  # ends before it measures anything


@pytest.fixture
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_LOAD", -1.0)


@pytest.mark.usefixtures("_busy")
def test_nothing_is_measured_on_a_busy_machine() -> None:
    done = benches.run(group.bench, *NAMED)
    assert done.exit_code == 1
    assert LOAD.fullmatch(done.stdout)
    busy = "Error: This machine is busy: its load is above -1.0. Wait, or start anyway with --busy.\n"
    assert done.stderr == busy


@pytest.mark.usefixtures("_busy")
def test_busy_starts_anyway_and_prints_the_load() -> None:
    done = benches.run(group.bench, "--busy", *NAMED)
    assert LOAD.match(done.stdout)
    assert done.stderr.startswith("Error: --database: ")


@pytest.mark.usefixtures("_busy")
def test_help_is_printed_at_any_load() -> None:
    for arguments in ([], ["latency"]):
        done = benches.run(group.bench, *arguments, "--help")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "load: " not in done.stdout


def test_a_quiet_machine_starts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_LOAD", math.inf)
    assert benches.run(group.bench, *NAMED).stderr.startswith("Error: --database: ")
