"""How many answers a second a web server gives: the book's beside those of a bare Flask view."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple
from urllib.parse import urlencode

import click
import requests

from scripts.benchmarks.support import beside_bare, processes, raw_client, report, temp_book, visitor, waiting
from scripts.benchmarks.support.process_usage import Meter

HEADERS = {"Accept-Encoding": "gzip"}
SHOWN = 20  # comments on the front page
KINDS = {"a bare Flask view": "200", "front page": "200", "front page, 304": "304", "POST": "303"}
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
        sent = _requests(port, count, rounds, at_once)
        found: dict[str, list[Round]] = {kind: [] for kind in KINDS}
        for number in range(rounds):
            for kind in KINDS:
                part = sent[kind][number * count : (number + 1) * count]
                found[kind].append(_round(kind, process.pid, port, part, at_once))
    bare = _medians(found["a bare Flask view"])
    return [_row(f"{server}, {kind}", count, one, bare) for kind, one in found.items()]


def _requests(port: int, count: int, rounds: int, at_once: int) -> dict[str, list[bytes]]:
    """Return the requests of all rounds, by kind, for a book with enough comments."""
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=60)
    token = visitor.hidden_field(page.text, "token")

    def sign(number: int) -> bytes:
        message = f"{temp_book.MESSAGE} {port} {number}"
        form = urlencode({"token": token, "name": f"Ada {number % at_once}", "message": message}).encode()
        return raw_client.request(port, "/comments", HEADERS, form)

    raw_client.exchange(port, [sign(-number) for number in range(1, SHOWN + 1)], 1)
    tag = requests.get(f"http://127.0.0.1:{port}/", headers=HEADERS, timeout=60).headers["ETag"]
    gets = {
        "a bare Flask view": (beside_bare.BARE, HEADERS),
        "front page": ("/", HEADERS),
        "front page, 304": ("/", {**HEADERS, "If-None-Match": tag}),
    }
    made = {kind: [raw_client.request(port, *one)] * count * rounds for kind, one in gets.items()}
    return made | {"POST": [sign(number) for number in range(count * rounds)]}


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
    spread = f"{min(rates):,.0f}–{max(rates):,.0f}"
    return [name, count * len(rounds), own.rate, spread, ratios[0], own.cpu, ratios[1], own.p99]
