"""`scripts/bench` measures small books here: each runs, checks what arrived, and refuses in sentences."""

import os
import re
from typing import Any
from unittest import mock

import click
import pytest
from click.testing import CliRunner, Result

from scripts.benchmarks import __main__ as group, soak, start
from scripts.benchmarks.deliver import deliver
from scripts.benchmarks.growth import growth, line
from scripts.benchmarks.latency import latency
from scripts.benchmarks.soak import Account, Growth
from scripts.benchmarks.support import raw_client, receivers
from scripts.benchmarks.support.receivers import Behaviour, Memory
from scripts.benchmarks.web import COLUMNS, KINDS, web
from tests.conftest import need
from tests.support import databases, processes

LOAD = re.compile(r"^- load: \d+\.\d\d in the last minute, before this bench\n")
NAMED = ("latency", "--database", "oracle://host/name")  # ends before it measures anything
WANTED = [("/hooks/0", "aa"), ("/hooks/1", "aa"), ("/hooks/0", "bb")]
TASKS = 31


def run(command: click.Command, *arguments: str) -> Result:
    """Run it without this process's settings; what it cannot explain is raised.

    Without its group a bench starts at any load.
    """
    with mock.patch.dict(os.environ, processes.clean_environ(), clear=True):
        return CliRunner().invoke(command, arguments, catch_exceptions=False)


def cells(printed: str) -> list[list[str]]:
    """The cells of all tables, without the lines below their heads."""
    lines = [line.split("|")[1:-1] for line in printed.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line] for line in lines if not line[0].startswith(" ---")]


@pytest.mark.parametrize(("command", "given", "code", "sentence"), [
    (deliver, ["--processes", "two"], 2, "whole numbers from 1 on"),
    (deliver, ["--count", "7"], 2, "--count must leave a delivery for each of the webhooks."),
    (deliver, ["--hanging", "8"], 2, "--hanging must leave a webhook that answers."),
    (deliver, ["--hanging", "1", "--peers"], 2, "--hanging and --peers are measured apart."),
    (growth, ["--rows", "5"], 2, "--rows must be at least 10."),
    (latency, ["--database", "oracle://host/name"], 1, "--database: the database must be one of"),
    (latency, ["--database", "sqlite:////tmp/b.db"], 1, "only the URL of a PostgreSQL or MariaDB server"),
])  # fmt: skip
def test_wrong_options_get_a_sentence(command: click.Command, given: Any, code: int, sentence: str) -> None:
    done = run(command, *given)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_a_server_that_is_away_is_no_traceback() -> None:
    need("postgresql")
    done = run(latency, "--database", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: --database: the server cannot be used: ")


def test_nothing_is_measured_on_a_busy_machine_unless_busy_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_LOAD", -1.0)
    done = run(group.bench, *NAMED)
    assert done.exit_code == 1
    assert LOAD.fullmatch(done.stdout)
    busy = "Error: This machine is busy: its load is above -1.0. Wait, or start anyway with --busy.\n"
    assert done.stderr == busy
    done = run(group.bench, "--busy", *NAMED)
    assert LOAD.match(done.stdout)
    assert done.stderr.startswith("Error: --database: ")
    done = run(group.bench, "latency", "--help")
    assert (done.exit_code, done.stderr, "load: " in done.stdout) == (0, "", False)


# --- deliver, and what arrived at its receivers


def bench(*arguments: str) -> Result:
    done = run(deliver, "--count", "16", "--rounds", "1", *arguments)
    assert done.exit_code == 0, done.output
    return done


def rows(printed: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table below its head, by name and number of processes."""
    return {(line[0], line[2]): line for line in cells(printed)[1:]}


def test_passes_at_once_stand_beside_one() -> None:
    done = bench("--processes", "1,2")
    table = rows(done.stdout)
    assert list(table) == [("pass", "1"), ("pass", "2")]
    assert all(line[3] == "1" for line in table.values())
    assert all(int(line[4].replace(",", "")) > 0 for line in table.values())
    assert all(line[5] == f"{line[4]}–{line[4]}" for line in table.values())
    assert re.search(r"^- machine: .+ cores, .+\n- versions: guestbook .+ SQLite", done.stdout, re.MULTILINE)


def test_slow_and_hanging_receivers_are_compared_with_the_ideal_and_the_others_on_a_server() -> None:
    need("postgresql")
    hosts = ("--webhooks", "4", "--hanging", "1", "--delay", "0.05")
    done = bench(*hosts, "--database", databases.server("postgresql"))
    assert "PostgreSQL" in done.stdout
    slower = r"^- 1 × 32 threads each, 1 hang: the others take [\d.]+ × as long$"
    assert re.search(slower, done.stdout, re.MULTILINE)
    assert re.search(r"^- 1 × threads ÷ latency = 640/s, of which \d+%$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(("found", "listed"), [
    (WANTED[:2], "1 never arrived"),
    ([*WANTED, WANTED[0], WANTED[0]], "2 arrived again"),
    ([*WANTED, ("/hooks/2", "aa")], "1 arrived that nobody sent"),
    ([WANTED[0], WANTED[0], WANTED[2]], "1 never arrived, 1 arrived again"),  # as many as were wanted
])  # fmt: skip
def test_what_is_lost_doubled_or_unknown_ends_the_bench(found: list[tuple[str, str]], listed: str) -> None:
    with pytest.raises(click.ClickException) as raised:
        receivers.check(Memory([(path.encode(), event.encode()) for path, event in found]), WANTED)
    assert raised.value.message == f"Of 3 deliveries, each must arrive once: {listed}."


def test_a_receiver_knows_what_has_arrived() -> None:
    with receivers.running(Behaviour()) as receiver:
        port = receiver.ports[0]
        last = {"X-Last": "1"}
        sent = [raw_client.request(port, path, {"Webhook-ID": one, **last}, b"body") for path, one in WANTED]
        assert receiver.count == 0
        assert raw_client.exchange(port, sent, 2).statuses == {"200": 3}
        assert receiver.count == 3
        receivers.check(receiver.memories()[0], WANTED)


# --- growth


def test_each_task_is_timed_in_books_of_each_size() -> None:
    done = run(growth, "--times", "1", "--rows", "20,10")
    assert done.exit_code == 0, done.output
    lines = cells(done.stdout)
    assert lines[0][:4] == ["ms", "10 rows", "20 rows", "ratio"]
    timed = [line for line in lines if line[3].endswith("×")]
    assert len(timed) == TASKS, lines
    assert all(float(cell.replace(",", "")) > 0 for line in timed for cell in line[1:3])
    assert lines[-1][0] == "MB on disk"


def test_growth_beyond_the_goal_is_marked() -> None:
    assert line("a page", [lambda: 1.0, lambda: 2.0], 3) == ["a page", 1.0, 2.0, "2.00 ×", "GROWS"]
    assert line("a page", [lambda: 1.0, lambda: 1.4], 3)[-1] == ""


# --- soak


def test_everything_accepted_in_some_seconds_has_arrived() -> None:
    done = run(soak.soak, "--minutes", "0.05", "--comments", "10", "--pass-seconds", "4")
    assert done.exit_code == 0, done.output
    found = {line[0]: line[1:] for line in cells(done.stdout)}
    assert int(found["comments accepted"][0]) > 10
    assert int(found["webhooks to us accepted"][0]) > 3
    assert int(found["POST"][0]) == int(found["comments accepted"][0])
    assert found["web, MB"][0] > "10"
    assert [found[f"lost to: {one.name}"] for one in soak.BEHAVIOURS if one.is_healthy] == [["0"]] * 4
    assert not [name for name in found if name.startswith("refused")]


def test_losses_growing_memory_and_a_broken_pass_are_complaints() -> None:
    account = Account(lost={"quick": 2, "50 ms": 0}, unrecorded=3, unprocessed=1)
    grown = {"web": Growth(60.0, 67.0), "cron": Growth(50.0, 50.0)}
    assert soak.complaints(account, grown, "Traceback (most recent call last):\nValueError: oops\n") == [
        "2 comments never came to quick.",
        "1 webhooks to us have become no comment.",
        "3 requests are on no record.",
        "web, MB: 12% more than after the first minute.",
        "A pass broke down: ValueError: oops",
    ]
    fine, flat = Account(lost={"quick": 0}, unrecorded=0, unprocessed=0), {"web": Growth(60.0, 62.0)}
    assert soak.complaints(fine, flat, "guestbook: 1 delivery was given up.") == []


# --- start and web


def test_all_commands_are_measured() -> None:
    done = run(start.start, "--times", "1")
    assert done.exit_code == 0, done.output
    lines = cells(done.stdout)
    costs = [line for line in lines if line[0] in start.COMMANDS]
    assert [line[0] for line in costs] == list(start.COMMANDS)
    assert all(float(cell.replace(",", "")) > 0 for line in costs for cell in (line[1], line[3]))


def test_each_kind_of_answer_stands_beside_the_bare_view() -> None:
    sizes = ("--backlog", "0", "--answers", "6", "--rounds", "2", "--at-once", "2")
    done = run(web, *sizes, "--server", "waitress")
    assert done.exit_code == 0, done.output
    head, *lines = cells(done.stdout)
    assert head == ["", *COLUMNS]
    assert [line[0] for line in lines] == [f"waitress, {kind}" for kind in KINDS]
    assert {line[1] for line in lines} == {"12"}
    assert lines[0][4] == "1.00 ×"
    assert all(float(line[2].replace(",", "")) > 0 for line in lines)
