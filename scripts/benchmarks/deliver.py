"""Deliveries a second: whole passes beside the raw limits of the clients and, if asked for, beside peers."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import NamedTuple

import click
from sqlalchemy import create_engine

from scripts.benchmarks.support import drain, fast_receiver, peer_queues, report
from scripts.benchmarks.support.drain import Run
from scripts.benchmarks.support.peer_queues import Peer
from scripts.benchmarks.support.process_usage import Figures

COLUMNS = ("", "set-up", "processes", "per second", "CPU ms each", "servers' CPU ms", "peak MB", "busy cores")
CLIENTS = ("session", "urllib3", "transport")
OURS = "pass"
SOME = click.IntRange(min=1)


class Case(NamedTuple):
    """A row of the table."""

    name: str
    setup: str
    processes: int


Results = dict[Case, list[Figures]]


def numbers(_context: object, _option: object, values: tuple[str, ...]) -> list[int]:
    """Read `1,2` and repeated options alike."""
    try:
        found = [int(part) for value in values for part in value.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise click.BadParameter("whole numbers from 1 on, such as 1,2")
    return found


@click.command()
@click.option("--count", type=SOME, default=5000, show_default=True, help="Deliveries to drain.")
@click.option("--webhooks", type=SOME, default=8, show_default=True, help="Receivers that share them.")
@click.option("--rounds", type=SOME, default=3, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", type=SOME, default=32, show_default=True, help="Threads of each pass.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds that a receiver takes to answer.")
@click.option("--hanging", default=0, help="Of the webhooks, how many never answer.")
@click.option(
    "--processes", multiple=True, default=["1"], callback=numbers, help="Passes at once; 1,2 tries both."
)
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
@click.option("--raw/--no-raw", default=True, help="Measure the bare clients too.")
@click.option("--peers", is_flag=True, help="Measure huey, Celery, dramatiq and procrastinate too.")
@click.option("--rabbitmq", default=peer_queues.RABBITMQ, show_default=True, help="For the peers.")
@click.option("--postgresql", default=peer_queues.POSTGRESQL, show_default=True, help="For the peers.")
def deliver(
    count: int,
    webhooks: int,
    rounds: int,
    concurrency: int,
    delay: float,
    hanging: int,
    processes: list[int],
    server: str | None,
    raw: bool,
    peers: bool,
    rabbitmq: str,
    postgresql: str,
) -> None:
    """Drain queued deliveries to a local sink, with signature, guard, budget and attempt rows.

    Passes that run at once have data folders of their own and begin together; each delivery must arrive
    exactly once. With --hanging the time counts until the deliveries of the other webhooks are through.

    Peers are measured where they are installed, in their best set-up and from a full queue on:
    pip install -e .[peers], in a virtual environment of its own if you like, which BENCH_PYTHON then names:
    BENCH_PYTHON=/path/to/python scripts/bench deliver --peers --processes 1,2
    """
    if not 0 <= hanging < webhooks:
        raise click.UsageError("--hanging must leave a webhook that answers.")
    if hanging and peers:
        raise click.UsageError("--hanging and --peers are measured apart.")
    if not (count := count - count % webhooks):
        raise click.UsageError("--count must leave a delivery for each of the webhooks.")
    results: Results = defaultdict(list)
    with ExitStack() as stack:
        port, received = stack.enter_context(fast_receiver.running(delay))
        silent = stack.enter_context(fast_receiver.running(math.inf))[0] if hanging else 0
        run = Run(count, webhooks, concurrency, server, port, received, silent)
        found, skipped = stack.enter_context(peer_queues.found(rabbitmq, postgresql)) if peers else ([], {})
        _heading(run, rounds, found, skipped)
        clients = CLIENTS if raw and not delay and not hanging else ()
        for _ in range(rounds):
            for case, measure in _cases(run, clients, hanging, processes, found):
                results[case].append(measure())
    through = count // webhooks * (webhooks - hanging)
    _print(results, through)
    _tell(results, through, concurrency / delay if delay else 0)


def _heading(run: Run, rounds: int, found: list[Peer], skipped: dict[str, str]) -> None:
    more = {"deliveries": f"{run.count:,} to {run.webhooks} webhooks, medians of {rounds} rounds"}
    if found:
        more["peers"] = ", ".join(peer.version for peer in found)
    if skipped:
        more["skipped"] = ", ".join(f"{name} ({why})" for name, why in skipped.items())
    engine = create_engine(run.server) if run.server else None
    report.heading(engine, more)
    if engine:
        engine.dispose()


def _cases(
    run: Run, clients: tuple[str, ...], hanging: int, processes: list[int], found: list[Peer]
) -> Iterator[tuple[Case, Callable[[], Figures]]]:
    for kind in clients:
        yield Case(kind, "1 thread, nothing recorded", 1), partial(drain.client, run, kind)
    for number in processes:
        for silent in (0, hanging) if hanging else (0,):
            setup = f"{run.concurrency} threads each" + (f", {silent} hang" if silent else "")
            yield Case(OURS, setup, number), partial(drain.passes, run, number, hanging, silent=bool(silent))
        for peer in found:
            yield Case(peer.name, peer.setup, number), partial(peer.measure, run, number)


def _print(results: Results, count: int) -> None:
    """Print the table, with ratios to the bare clients, the fastest peer and the one that uses least CPU."""
    rates = {case: count / median(one.seconds for one in some) for case, some in results.items()}
    cpu = {case: median(one.cpu for one in some) / count * 1000 for case, some in results.items()}
    bases = {f"to {case.name}": rates[case] for case in rates if case.name in CLIENTS[:2]}
    least = None
    if others := [case for case in rates if case.name not in (*CLIENTS, OURS)]:
        bases["to the fastest peer"] = max(rates[case] for case in others)
        least = min(cpu[case] for case in others)
    rows = []
    for case, some in results.items():
        row = [*case, round(rates[case]), cpu[case], *_rest(some, count)]
        row += [report.ratio(rates[case], base) for base in bases.values()]
        rows.append(row + ([report.ratio(cpu[case], least)] if least else []))
    report.table([*COLUMNS, *bases, *(["CPU to the leanest peer"] if least else [])], rows)


def _rest(some: list[Figures], count: int) -> list[report.Cell]:
    """Return the servers' CPU, the peak of memory and the cores that were busy."""
    server = median(one.server for one in some) / count * 1000
    return [server or None, round(median(one.mb for one in some)), f"{median(one.cores for one in some):.1f}"]


def _tell(results: Results, count: int, ideal: float) -> None:
    """Print what receivers that are slow or hang have cost."""
    ours = {case: median(one.seconds for one in some) for case, some in results.items() if case.name == OURS}
    for case, seconds in ours.items():
        if ideal:
            most = ideal * case.processes
            share = count / seconds / most
            click.echo(f"- {case.processes} × threads ÷ latency = {most:,.0f}/s, of which {share:.0%}")
        for slow in ours:
            if slow.processes == case.processes and slow.setup.startswith(f"{case.setup}, "):
                click.echo(
                    f"- {case.processes} × {slow.setup}: the others take {ours[slow] / seconds:.2f} × as long"
                )
