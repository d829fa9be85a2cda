"""Deliveries a second: whole passes and, with --peers, other task queues beside them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import click

from scripts.benchmarks.support import deliveries, peers, process_usage, report, temp_book
from scripts.benchmarks.support.deliveries import Run
from scripts.benchmarks.support.peers import Peer
from scripts.benchmarks.support.process_usage import Usage

COLUMNS = ("", "set-up", "processes", *process_usage.COLUMNS)
OURS = "pass"
POSITIVE = click.IntRange(min=1)


class Case(NamedTuple):
    """A row of the table."""

    name: str
    setup: str
    processes: int


Measure = Callable[[], Usage]


@click.command()
@click.option("--count", type=POSITIVE, default=5000, show_default=True, help="Deliveries.")
@click.option("--webhooks", type=POSITIVE, default=8, show_default=True, help="Share the deliveries.")
@click.option("--rounds", type=POSITIVE, default=3, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", type=POSITIVE, default=32, show_default=True, help="Threads of a process.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds until a receiver answers.")
@click.option("--hanging", default=0, help="How many of the webhooks never answer.")
@click.option("--processes", default="1", callback=deliveries.numbers, help="Passes at once; 1,2 tries both.")
@temp_book.server_option
@click.option("--peers", "with_peers", is_flag=True, help="Measure other task queues too.")
def deliver(processes: list[int], with_peers: bool, **given: Any) -> None:
    """Drain queued deliveries to a local receiver, with signatures, address checks, limits and attempt rows.

    Passes that run at once have their own data folders and begin together; each delivery must arrive
    exactly once. With --hanging the time counts until the deliveries of the other webhooks have arrived.

    Peers are measured with a full queue where they are installed, with Redis at its usual port and PostgreSQL
    where GUESTBOOK_TEST_POSTGRESQL says or at its usual port: BENCH_NODE_MODULES names their folder, such
    as DIR/node_modules after npm install --prefix DIR graphile-worker pg-boss bullmq ioredis undici pg
    """
    run = Run(**given)
    if run.hanging and with_peers:
        raise click.UsageError("--hanging and --peers are measured apart.")
    missing = {peer: peer.missing() for peer in peers.PEERS} if with_peers else {}
    found = [peer for peer, why in missing.items() if not why]
    more = {
        "peers": [peer.version for peer in found],
        "skipped": [f"{peer.name} ({why})" for peer, why in missing.items() if why],
    }
    run.heading({name: ", ".join(values) for name, values in more.items() if values})
    results: dict[Case, list[Usage]] = defaultdict(list)
    for _ in range(run.rounds):
        for case, measure in _cases(run, processes, found):
            results[case].append(measure())
    usages = {case: process_usage.medians(some) for case, some in results.items()}
    others = [usage.seconds for case, usage in usages.items() if case.name != OURS]
    rows = []
    for case, usage in usages.items():
        ratios = [report.ratio(min(others), usage.seconds)] if others else []
        rows.append([*case, *process_usage.cells(results[case], run.answered), *ratios])
    report.table([*COLUMNS, *(("to the fastest peer",) if others else ())], rows)
    _print_slow({case: usage.seconds for case, usage in usages.items() if case.name == OURS}, run)


def _cases(run: Run, processes: list[int], found: list[Peer]) -> Iterator[tuple[Case, Measure]]:
    for number in processes:
        for silent in (0, run.hanging) if run.hanging else (0,):
            setup = f"{run.concurrency} threads each" + (f", {silent} hang" if silent else "")
            yield Case(OURS, setup, number), partial(run.passes, number, silent=bool(silent))
        for peer in found:
            setup = f"{peers.CONCURRENCY} tasks on {peers.CONNECTIONS} connections each, PostgreSQL"
            yield Case(peer.name, setup, number), partial(peer.measure, run, number)


def _print_slow(ours: Mapping[Case, float], run: Run) -> None:
    """Print the cost of receivers that are slow or hang."""
    for case, seconds in ours.items():
        if run.delay:
            most = run.concurrency / run.delay * case.processes
            share = run.answered / seconds / most
            click.echo(f"- {case.processes} × threads ÷ latency = {most:,.0f}/s, of which {share:.0%}")
        for slow in ours:
            if slow.processes == case.processes and slow.setup.startswith(f"{case.setup}, "):
                times = f"{ours[slow] / seconds:.2f} × as long"
                click.echo(f"- {case.processes} × {slow.setup}: the others take {times}")
