"""`scripts/bench deliver` drains books and prints what that took; here they are tiny."""

import re

import pytest
from click.testing import Result

from scripts.benchmarks.deliver import deliver
from scripts.benchmarks.support import peer_queues, waiting
from tests.conftest import need
from tests.support import benches, databases, processes


def bench(*arguments: str) -> Result:
    done = benches.run(deliver, "--count", "16", "--rounds", "1", *arguments)
    assert done.exit_code == 0, done.output
    return done


def rows(printed: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table below its head, by name and number of processes."""
    return {(line[0], line[2]): line for line in benches.cells(printed)[1:]}


def test_passes_at_once_stand_beside_one_and_beside_the_bare_clients() -> None:
    done = bench("--processes", "1,2", "--apart")
    table = rows(done.stdout)
    clients = [(kind, "1") for kind in ("session", "urllib3", "transport")]
    assert list(table) == [*clients, ("pass", "1"), ("pass", "2"), ("pass, a book each", "2")]
    assert all(line[3] == "1" for line in table.values())
    assert all(int(line[4].replace(",", "")) > 0 for line in table.values())
    assert all(line[5] == f"{line[4]}–{line[4]}" for line in table.values())
    assert all(line[-1].endswith("×") for line in table.values())
    assert re.search(r"^- machine: .+ cores, .+\n- versions: guestbook .+ SQLite", done.stdout, re.MULTILINE)


def test_slow_and_hanging_receivers_are_compared_with_the_ideal_and_the_others_on_a_server() -> None:
    need("postgresql")
    done = bench(
        *("--webhooks", "4", "--hanging", "1", "--delay", "0.05"),
        *("--database", databases.server("postgresql")),
    )
    assert "PostgreSQL" in done.stdout
    slower = r"^- 1 × 32 threads each, 1 hang: the others take [\d.]+ × as long$"
    assert re.search(slower, done.stdout, re.MULTILINE)
    assert re.search(r"^- 1 × threads ÷ latency = 640/s, of which \d+%$", done.stdout, re.MULTILINE)


def test_peers_are_measured_or_named_with_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 30.0)
    done = benches.run(deliver, "--count", "16", "--rounds", "1", "--peers", "--no-raw")
    if "was not ready within" in done.output:  # a peer that hung is not ours to repair
        done = bench("--peers", "--no-raw")
    table = rows(done.stdout)
    skipped = re.search(r"^- skipped: (.+)$", done.stdout, re.MULTILINE)
    for name in peer_queues.PEERS:
        assert ((name, "1") in table) != (skipped is not None and name in skipped[1]), done.stdout


def test_peers_whose_servers_are_away_are_skipped() -> None:
    port = processes.free_port()
    away = {name: f"{name}://127.0.0.1:{port}/x" for name in peer_queues.PORTS}
    with peer_queues.found(away) as (peers, skipped):
        assert skipped["Celery on RabbitMQ"].startswith("no")
        assert {peer.name for peer in peers} <= {"huey on SQLite", "honker on SQLite"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--processes", "0"], "whole numbers from 1 on"),
        (["--processes", "two"], "whole numbers from 1 on"),
        (["--rounds", "0"], "0 is not in the range"),
        (["--count", "7"], "--count must leave a delivery for each of the webhooks."),
        (["--hanging", "8"], "--hanging must leave a webhook that answers."),
        (["--hanging", "1", "--peers"], "--hanging and --peers are measured apart."),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    done = benches.run(deliver, *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
