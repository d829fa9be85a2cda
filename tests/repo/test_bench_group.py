"""`scripts/bench` looks at the load before it starts a bench, and names the extra that a bench lacks."""

import importlib
import math
import re
import sys

import pytest

from scripts.benchmarks import __main__ as group
from scripts.benchmarks import workers
from tests.support import benches

LOAD = re.compile(r"^- load: \d+\.\d\d in the last minute, before this bench\n")
NAMED = ("claims", "--database", "oracle://host/name")  # ends before it measures anything


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
    for arguments in ([], ["claims"]):
        done = benches.run(group.bench, *arguments, "--help")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "load: " not in done.stdout


def test_a_quiet_machine_starts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_LOAD", math.inf)
    assert benches.run(group.bench, *NAMED).stderr.startswith("Error: --database: ")


def test_the_bench_of_celery_names_its_extra_and_the_others_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "amqp", None)
    without = importlib.reload(workers)
    done = benches.run(without.workers, "--database", "sqlite")
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(
        r"Error: This bench needs the extra celery\. Install it with: .+celery.*\n", done.stderr
    )
