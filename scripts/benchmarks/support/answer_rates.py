"""How many answers a second a web server gives: the book's beside those of bare Flask views."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple
from urllib.parse import urlencode

import click
import requests

from scripts.benchmarks.support import (
    bare_views,
    beside_bare,
    processes,
    raw_client,
    report,
    temp_book,
    visitor,
    waiting,
)
from scripts.benchmarks.support.process_usage import Meter

HEADERS = {"Accept-Encoding": "gzip"}
SHOWN = 20  # comments on the front page
KINDS = {  # with the status of the answer
    "a bare Flask view": "200",
    "front page": "200",
    "front page, 304": "304",
    "a bare POST that stores the rows": "303",
    "POST": "303",
}
COLUMNS = ("n", "per second", "range", "to bare", "CPU ms", "to bare", "p99 ms")


class Round(NamedTuple):
    """The figures of one kind of request in one round."""

    rate: float  # a second
    cpu: float  # ms of the server for each answer
    p99: float  # ms


def rows(
    server: str, environ: Mapping[str, str], count: int, rounds: int, at_once: int
) -> list[Sequence[report.Cell]]:
    """Return the rows of a table below COLUMNS for a server, its kinds of requests in turn."""
    port = processes.free_port()
    with ExitStack() as stack:
        environ = {**environ, "PYTHONPATH": str(report.ROOT)}
        process = stack.enter_context(processes.running(beside_bare.command(server, port), environ))
        waiting.until(lambda: processes.listens(port), server)
        sign = _signing(port, at_once)
        raw_client.exchange(port, [sign("/comments", -number) for number in range(1, SHOWN + 1)], 1)
        found: dict[str, list[Round]] = {kind: [] for kind in KINDS}
        for number in range(rounds):
            posts = {
                "a bare POST that stores the rows": [sign(bare_views.PATH, one) for one in range(count)],
                "POST": [sign("/comments", number * count + one) for one in range(count)],
            }
            sent = _gets(port, count) | posts
            for kind in KINDS:
                found[kind].append(_round(kind, process.pid, port, sent[kind], at_once))
    bare = _medians(found["a bare Flask view"])
    return [_row(f"{server}, {kind}", count, one, bare) for kind, one in found.items()]


def _signing(port: int, at_once: int) -> Callable[[str, int], bytes]:
    """Return what makes the request that signs the book, by its path and its number."""
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=60)
    token = visitor.hidden_field(page.text, "token")

    def sign(path: str, number: int) -> bytes:
        message = f"{temp_book.MESSAGE} {port} {number}"
        form = urlencode({"token": token, "name": f"Ada {number % at_once}", "message": message}).encode()
        return raw_client.request(port, path, HEADERS, form)

    return sign


def _gets(port: int, count: int) -> dict[str, list[bytes]]:
    """Return the requests that read, by kind, for the front page as it is now."""
    tag = requests.get(f"http://127.0.0.1:{port}/", headers=HEADERS, timeout=60).headers["ETag"]
    made = {
        "a bare Flask view": raw_client.request(port, bare_views.PATH, HEADERS),
        "front page": raw_client.request(port, "/", HEADERS),
        "front page, 304": raw_client.request(port, "/", {**HEADERS, "If-None-Match": tag}),
    }
    return {kind: [one] * count for kind, one in made.items()}


def _round(kind: str, pid: int, port: int, sent: Sequence[bytes], at_once: int) -> Round:
    meter = Meter([pid])
    done = raw_client.exchange(port, sent, at_once)
    usage = meter.usage(done.seconds)
    if set(done.statuses) != {KINDS[kind]}:
        raise click.ClickException(f"{kind}: {dict(done.statuses)} in place of {KINDS[kind]}.")
    return Round(
        len(sent) / done.seconds, usage.cpu / len(sent) * 1000, sorted(done.times)[len(sent) * 99 // 100]
    )


def _medians(rounds: Sequence[Round]) -> Round:
    return Round(*map(median, zip(*rounds, strict=True)))


def _row(name: str, count: int, rounds: Sequence[Round], bare: Round) -> list[report.Cell]:
    own, rates = _medians(rounds), [one.rate for one in rounds]
    ratios = report.ratio(own.rate, bare.rate), report.ratio(own.cpu, bare.cpu)
    ranging = report.spread(rates)
    return [name, count * len(rounds), own.rate, ranging, ratios[0], own.cpu, ratios[1], own.p99]
