"""Deliveries a second: whole passes beside the raw limits of the clients and, with --peers, beside peers."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import click

from scripts.benchmarks.support import (
    delivery_run,
    drain,
    peer_queues,
    process_usage,
    redis_keys,
    report,
    temp_book,
)
from scripts.benchmarks.support.delivery_run import Run
from scripts.benchmarks.support.peer_queues import Peer
from scripts.benchmarks.support.process_usage import Usage

COLUMNS = ("", "set-up", "processes", *process_usage.COLUMNS)
CLIENTS = ("session", "urllib3", "transport")
OURS = "pass"
APART = "pass, a book each"
NO_PEERS = (*CLIENTS, OURS, APART)


class Case(NamedTuple):
    """A row of the table."""

    name: str
    setup: str
    processes: int


@click.command()
@delivery_run.options
@click.option("--hanging", default=0, help="How many of the webhooks never answer.")
@click.option(
    "--processes",
    multiple=True,
    default=["1"],
    callback=delivery_run.numbers,
    help="Passes at once; 1,2 tries both.",
)
@click.option("--apart", is_flag=True, help="Measure passes with a book each, too.")
@temp_book.server_option
@click.option("--raw/--no-raw", default=True, help="Measure the bare clients too.")
@click.option("--peers", is_flag=True, help="Measure other task queues too.")
@click.option("--rabbitmq", default=peer_queues.RABBITMQ, show_default=True, help="For the peers.")
@click.option("--postgresql", default=peer_queues.POSTGRESQL, show_default=True, help="For the peers.")
@click.option("--redis", default=peer_queues.REDIS, show_default=True, help="For the peers.")
def deliver(run: Run, processes: list[int], apart: bool, raw: bool, peers: bool, **servers: str) -> None:
    """Drain queued deliveries to a local receiver, with signatures, address checks, limits and attempt rows.

    Passes that run at once have their own data folders and begin together; each delivery must arrive
    exactly once. With --hanging the time counts until the deliveries of the other webhooks have arrived.

    Peers are measured where they are installed, in their best set-up and with a full queue:
    pip install -e .[peers]. They may have their own virtual environment:
    BENCH_PYTHON=/path/to/python scripts/bench deliver --peers --processes 1,2

    Peers on Node have theirs in the folder that BENCH_NODE_MODULES names, such as DIR/node_modules after
    npm install --prefix DIR graphile-worker pg-boss bullmq ioredis undici pg
    """
    if run.hanging and peers:
        raise click.UsageError("--hanging and --peers are measured apart.")
    with run.receiving(), ExitStack() as stack:
        found, skipped = stack.enter_context(peer_queues.found(servers)) if peers else ([], {})
        more = {"peers": sorted({peer.version for peer in found})}
        if any("redis" in peer.module.SERVERS for peer in found):
            more["Redis"] = [redis_keys.described(servers["redis"])]
        more["skipped"] = [f"{name} ({why})" for name, why in skipped.items()]
        run.heading({name: ", ".join(values) for name, values in more.items() if values})
        clients = CLIENTS if raw and not run.delay and not run.hanging else ()
        results, failed = _results(run, partial(_cases, run, clients, processes, found, apart))
    _print(results, run.answered)
    _print_slow(results, run)
    for case, why in failed.items():
        click.echo(f"- {case.name} with {case.processes} processes: {why}")


def _results(
    run: Run, cases: Callable[[], Iterator[tuple[Case, Callable[[], Usage]]]]
) -> tuple[dict[Case, list[Usage]], dict[Case, str]]:
    """Measure all cases in turn. A peer that fails is not tried again; return why it failed, too."""
    results: dict[Case, list[Usage]] = defaultdict(list)
    failed: dict[Case, str] = {}
    for _ in range(run.rounds):
        for case, measure in cases():
            try:
                if case not in failed:
                    results[case].append(measure())
            except click.ClickException as error:
                if case.name in NO_PEERS:
                    raise
                failed[case] = error.message
    return {case: usages for case, usages in results.items() if case not in failed}, failed


def _cases(
    run: Run, clients: tuple[str, ...], processes: list[int], peers: list[Peer], apart: bool
) -> Iterator[tuple[Case, Callable[[], Usage]]]:
    for kind in clients:
        yield Case(kind, "1 thread, nothing recorded", 1), partial(drain.client, run, kind)
    for number in processes:
        for silent in (0, run.hanging) if run.hanging else (0,):
            setup = f"{run.concurrency} threads each" + (f", {silent} hang" if silent else "")
            yield Case(OURS, setup, number), partial(drain.passes, run, number, silent=bool(silent))
        if apart and number > 1:
            setup = f"{run.concurrency} threads each"
            yield Case(APART, setup, number), partial(drain.passes_apart, run, number)
        for peer in peers:
            yield Case(peer.name, peer.setup, number), partial(peer.measure, run, number)


def _print(results: dict[Case, list[Usage]], count: int) -> None:
    """Print the table, with ratios to the bare clients, the fastest peer and the one that uses least CPU."""
    usages = {case: process_usage.medians(some) for case, some in results.items()}
    rates = {case: count / usage.seconds for case, usage in usages.items()}
    bases = {f"to {case.name}": rates[case] for case in rates if case.name in CLIENTS[:2]}
    least = None
    if others := [case for case in rates if case.name not in NO_PEERS]:
        bases["to the fastest peer"] = max(rates[case] for case in others)
        least = min(usages[case].cpu for case in others)
    rows = []
    for case, usage in usages.items():
        row = [
            *case,
            *process_usage.cells(results[case], count),
            *(report.ratio(rates[case], base) for base in bases.values()),
        ]
        rows.append(row + ([report.ratio(usage.cpu, least)] if least else []))
    report.table([*COLUMNS, *bases, *(["CPU to the leanest peer"] if least else [])], rows)


def _print_slow(results: dict[Case, list[Usage]], run: Run) -> None:
    """Print the cost of receivers that are slow or hang."""
    ours = {case: process_usage.medians(some).seconds for case, some in results.items() if case.name == OURS}
    for case, seconds in ours.items():
        if run.delay:
            most = run.concurrency / run.delay * case.processes
            share = run.answered / seconds / most
            click.echo(f"- {case.processes} × threads ÷ latency = {most:,.0f}/s, of which {share:.0%}")
        for slow in ours:
            if slow.processes == case.processes and slow.setup.startswith(f"{case.setup}, "):
                times = f"{ours[slow] / seconds:.2f} × as long"
                click.echo(f"- {case.processes} × {slow.setup}: the others take {times}")
