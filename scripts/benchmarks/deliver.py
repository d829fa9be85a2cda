"""Deliveries a second: a whole pass beside the raw limits of the clients, in one run."""

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict

import click

from scripts.benchmarks import books, sink

Figures = dict[str, float]


@click.command()
@click.option("--count", default=5000, show_default=True, help="Deliveries to drain.")
@click.option("--webhooks", default=8, show_default=True, help="Receivers that share them.")
@click.option("--rounds", default=3, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", default=32, show_default=True, help="Of the pass.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds that a receiver takes to answer.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
@click.option("--raw/--no-raw", default=True, help="Measure the bare clients too.")
def deliver(
    count: int, webhooks: int, rounds: int, concurrency: int, delay: float, server: str | None, raw: bool
) -> None:
    """Drain queued deliveries to a local sink, with signature, guard, budget and attempt rows."""
    count -= count % webhooks
    results: dict[str, list[Figures]] = defaultdict(list)
    with sink.running(delay) as (port, _):
        for _ in range(rounds):
            for kind in ("session", "urllib3", "transport") if raw and not delay else ():
                results[kind].append(_run(kind, count, port))
            results["pass"].append(_drain(count, [port] * webhooks, concurrency, server))
    _print(results, count)
    if delay:
        rate = count / statistics.median(one["seconds"] for one in results["pass"])
        click.echo(
            f"threads ÷ latency = {concurrency / delay:,.0f}/s, of which {rate * delay / concurrency:.0%}"
        )


def _drain(count: int, ports: list[int], concurrency: int, server: str | None) -> Figures:
    with books.fresh(server) as app:
        books.add_webhooks(ports)
        books.fill(app, count // len(ports))
        return _run("deliver", count, concurrency, environ=app.config["ENVIRON"])


def _run(kind: str, *numbers: int, environ: dict[str, str] | None = None) -> Figures:
    command = [sys.executable, "-m", "scripts.benchmarks.worker", kind, *map(str, numbers)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, env={**os.environ, **(environ or {})}
    )
    if done.returncode:
        raise click.ClickException(done.stderr)
    figures: Figures = json.loads(done.stdout)
    return figures


def _print(results: dict[str, list[Figures]], count: int) -> None:
    click.echo(f"{'':<10} {'per second':>10} {'CPU ms each':>12} {'peak MB':>8}   ratio to session, urllib3")
    rates = {
        kind: count / statistics.median(one["seconds"] for one in some) for kind, some in results.items()
    }
    for kind, some in results.items():
        cpu = statistics.median(one["cpu"] for one in some) / count * 1000
        peak = statistics.median(one["mb"] for one in some)
        ratios = [f"{rates[kind] / rates[other]:.2f}" for other in ("session", "urllib3") if other in rates]
        click.echo(f"{kind:<10} {rates[kind]:>10,.0f} {cpu:>12.3f} {peak:>8.0f}   {'  '.join(ratios)}")
