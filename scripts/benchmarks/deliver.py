"""Deliveries a second: whole passes beside the raw limits of the clients, in one run."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import click
from sqlalchemy import create_engine, make_url

from guestbook import clock
from scripts.benchmarks import books, report, sink, together
from scripts.benchmarks.usage import Figures, Meter

PATIENCE = 120  # seconds for the deliveries that hanging receivers must not hold up
COLUMNS = ("", "set-up", "processes", "per second", "CPU ms each", "server's CPU ms", "peak MB", "busy cores")


class Case(NamedTuple):
    """A row of the table."""

    name: str
    setup: str
    processes: int


@dataclass(frozen=True)
class Run:
    """What was asked for, and the receivers of this run."""

    count: int
    webhooks: int
    concurrency: int
    delay: float
    server: str | None
    port: int  # of the receiver that answers
    received: Any  # the number of its requests
    silent: int  # port of the one that never answers


def _numbers(_context: object, _option: object, values: tuple[str, ...]) -> list[int]:
    """Read `1,2` and repeated options alike."""
    try:
        numbers = [int(part) for value in values for part in value.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise click.BadParameter("whole numbers from 1 on, such as 1,2")
    return numbers


@click.command()
@click.option("--count", default=5000, show_default=True, help="Deliveries to drain.")
@click.option("--webhooks", default=8, show_default=True, help="Receivers that share them.")
@click.option("--rounds", default=3, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", default=32, show_default=True, help="Threads of each pass.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds that a receiver takes to answer.")
@click.option("--hanging", default=0, help="Of the webhooks, how many never answer.")
@click.option(
    "--processes", multiple=True, default=["1"], callback=_numbers, help="Passes at once; 1,2 tries both."
)
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
@click.option("--raw/--no-raw", default=True, help="Measure the bare clients too.")
def deliver(rounds: int, hanging: int, processes: list[int], raw: bool, **asked: Any) -> None:
    """Drain queued deliveries to a local sink, with signature, guard, budget and attempt rows.

    Passes that run at once have data folders of their own and begin together; each delivery must arrive
    exactly once. With --hanging the time counts until the deliveries of the other webhooks are through.
    """
    if not 0 <= hanging < asked["webhooks"]:
        raise click.UsageError("--hanging must leave a webhook that answers.")
    asked["count"] -= asked["count"] % asked["webhooks"]
    results: dict[Case, list[Figures]] = defaultdict(list)
    with ExitStack() as stack:
        port, received = stack.enter_context(sink.running(asked["delay"]))
        silent = stack.enter_context(sink.running(math.inf))[0] if hanging else 0
        run = Run(**asked, port=port, received=received, silent=silent)
        _heading(run, rounds)
        for _ in range(rounds):
            for case, measure in _cases(run, hanging, processes, raw):
                results[case].append(measure())
    _print(run, results, hanging)


def _heading(run: Run, rounds: int) -> None:
    engine = create_engine(run.server) if run.server else None
    what = f"{run.count:,} to {run.webhooks} webhooks, medians of {rounds} rounds"
    report.heading(engine, {"deliveries": what})
    if engine:
        engine.dispose()


def _cases(
    run: Run, hanging: int, processes: list[int], raw: bool
) -> Iterator[tuple[Case, Callable[[], Figures]]]:
    if raw and not run.delay and not hanging:
        for kind in ("session", "urllib3", "transport"):
            yield Case(kind, "1 thread, nothing recorded", 1), partial(_client, run, kind)
    setup = f"{run.concurrency} threads each"
    for number in processes:
        yield Case("pass", setup, number), partial(_passes, run, number, hanging, silent=False)
        if hanging:
            yield (
                Case("pass", f"{setup}, {hanging} hang", number),
                partial(_passes, run, number, hanging, silent=True),
            )


def _client(run: Run, kind: str) -> Figures:
    """Let a bare client send as many requests."""
    before = run.received.value
    with together.ready([kind, run.port, run.count], [{}]) as processes:
        meter = Meter([process.pid for process in processes])
        together.go(processes)
        together.hear(processes, "done")
        figures = meter.figures()
    _check(run.received.value - before, run.count, "received")
    return figures


def _passes(run: Run, number: int, hanging: int, *, silent: bool) -> Figures:
    """Let so many passes drain a new book; the webhooks that would hang are there or are not."""
    answering = run.webhooks - hanging
    ports = [run.port] * answering + [run.silent] * hanging * silent
    each = run.count // run.webhooks
    before = run.received.value
    with books.fresh(run.server) as app:
        books.add_webhooks(ports)
        books.fill(app, each)
        with together.ready(["deliver", run.concurrency, 0], books.places(app, number)) as processes:
            kinds = [make_url(run.server).get_backend_name()] if run.server else []
            meter, began = Meter([process.pid for process in processes], kinds), clock.now()
            together.go(processes)
            if silent:
                _until(lambda: run.received.value - before == each * answering == books.processed()[0])
                last = books.processed()[1]
                figures = meter.figures((last - began).total_seconds() if last else None)
            else:
                together.hear(processes, "done")
                figures = meter.figures()
        _check(books.processed()[0], each * answering, "on record")
    _check(run.received.value - before, each * answering, "received")
    return figures


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise click.ClickException(f"The deliveries were not through within {PATIENCE} seconds.")
        time.sleep(0.01)


def _check(found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise click.ClickException(f"{found} deliveries are {what} where {wanted} were to be, once each.")


def _print(run: Run, results: dict[Case, list[Figures]], hanging: int) -> None:
    count = run.count // run.webhooks * (run.webhooks - hanging)
    rates = {case: count / median(one.seconds for one in some) for case, some in results.items()}
    bases = {case.name: rates[case] for case in rates if case.name in ("session", "urllib3")}
    report.table(
        [*COLUMNS, *(f"to {name}" for name in bases)],
        [_row(case, some, count, rates[case], bases) for case, some in results.items()],
    )
    for case, rate in rates.items():
        if run.delay and case.name == "pass":
            ideal = case.processes * run.concurrency / run.delay
            click.echo(f"{case.processes}: threads ÷ latency = {ideal:,.0f}/s, of which {rate / ideal:.0%}")
        if hanging and not case.setup.endswith("hang"):
            slow = rates[case._replace(setup=f"{case.setup}, {hanging} hang")]
            click.echo(f"{case.processes}: with hanging ones the others take {rate / slow:.2f} × as long")


def _row(
    case: Case, some: list[Figures], count: int, rate: float, bases: dict[str, float]
) -> list[report.Cell]:
    cpu = median(one.cpu for one in some) / count * 1000
    server = median(one.server for one in some) / count * 1000
    peak = round(median(one.mb for one in some))
    cores = median(one.cores for one in some)
    ratios = [report.ratio(rate, base) for base in bases.values()]
    return [*case, round(rate), cpu, server or None, peak, f"{cores:.1f}", *ratios]
