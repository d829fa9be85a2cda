"""`scripts/bench deliver` drains books and prints what that took; here they are tiny."""

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import Result

from scripts.benchmarks.deliver import deliver
from scripts.benchmarks.support import peers
from tests.conftest import need
from tests.support import benches, databases, processes


def bench(*arguments: str) -> Result:
    done = benches.run(deliver, "--count", "16", "--rounds", "1", *arguments)
    assert done.exit_code == 0, done.output
    return done


def rows(printed: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table below its head, by name and number of processes."""
    return {(line[0], line[2]): line for line in benches.cells(printed)[1:]}


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
    done = bench(
        *("--webhooks", "4", "--hanging", "1", "--delay", "0.05"),
        *("--database", databases.server("postgresql")),
    )
    assert "PostgreSQL" in done.stdout
    slower = r"^- 1 × 32 threads each, 1 hang: the others take [\d.]+ × as long$"
    assert re.search(slower, done.stdout, re.MULTILINE)
    assert re.search(r"^- 1 × threads ÷ latency = 640/s, of which \d+%$", done.stdout, re.MULTILINE)


def test_a_peer_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = processes.free_port()
    away = {name: f"{name}://127.0.0.1:{port}/x" for name in peers.PORTS}
    graphile, _, bullmq = peers.PEERS
    monkeypatch.delenv("BENCH_NODE_MODULES", raising=False)
    assert graphile.missing(away) == "not installed"
    need("node")
    monkeypatch.setenv("BENCH_NODE_MODULES", str(tmp_path))
    for name in ("graphile-worker", "ioredis", *peers.SHARED):
        (tmp_path / name).mkdir()
        (tmp_path / name / "package.json").write_text('{"version": "1.2.3"}')
    assert bullmq.missing(away) == "not installed"
    assert graphile.missing(away) == "no postgresql there"
    assert graphile.version == "graphile-worker 1.2.3"


@pytest.mark.needs("node")
@pytest.mark.parametrize("path", sorted(peers.PROGRAMS.glob("*.mjs")), ids=lambda path: path.name)
def test_node_can_read_each_program_of_a_peer(path: Path) -> None:
    subprocess.run(["node", "--check", path], check=True)


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
