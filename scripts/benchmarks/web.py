"""The web server's answers beside those of a bare Flask view, and signing while a pass runs at full speed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import click
import requests

from guestbook.storage.database import db
from scripts.benchmarks.support import processes, raw_client, receivers, report, temp_book, web_servers
from scripts.benchmarks.support.process_usage import Meter
from scripts.benchmarks.support.receivers import Behaviour
from tests.support.processes import free_port

WEBHOOKS = 8
WEBHOOKS_OF_ANSWERS = 3
HEADERS = {"Accept-Encoding": "gzip"}
SHOWN = 20  # comments on the front page
FILE = "front page as a file of nginx"
KINDS = {  # with the status of the answer
    "a bare Flask view": "200",
    "front page": "200",
    "front page, 304": "304",
    "a bare POST that stores the rows": "303",
    "POST": "303",
    FILE: "200",
}
NGINX = """daemon off; master_process off; pid {0}/pid; error_log stderr; events {{}}
http {{ client_body_temp_path {0}/1; proxy_temp_path {0}/2; fastcgi_temp_path {0}/3; uwsgi_temp_path {0}/4;
scgi_temp_path {0}/5; keepalive_requests 1000000; access_log off; default_type text/html;
server {{ listen 127.0.0.1:{1}; root {0}; }} }}"""
COLUMNS = ("n", "per second", "range", "to bare", "CPU ms", "to bare", "p99 ms")


# The figures of a kind of request in a round: answers a second, ms of the server's CPU for each, p99 in ms.
Round = tuple[float, float, float]
Sign = Callable[[str, int], bytes]  # makes the request that signs the book, by its path and its number


@click.command()
@click.option("--backlog", default=120_000, show_default=True, help="Deliveries for the pass; 0: no pass.")
@click.option("--at-once", default=8, show_default=True, help="Posters at once, as fast as they can.")
@click.option("--answers", default=1000, show_default=True, help="Requests of each kind in a round.")
@click.option("--rounds", default=5, type=click.IntRange(1), show_default=True)
@click.option("--server", type=click.Choice(list(web_servers.COMMANDS)), help="One of those installed.")
def web(backlog: int, at_once: int, answers: int, rounds: int, server: str | None) -> None:
    """Ask for pages and post comments, beside a bare Flask view on the same web server.

    Then post comments beside a pass at full speed: how long visitors wait, and whether any post fails.
    """
    lines: list[Sequence[report.Cell]] = []
    for name in [server] if server else web_servers.installed():
        with temp_book.fresh() as app:  # Else all share the limit of comments in ten minutes.
            if not lines:
                report.heading(db.engine)
            temp_book.add_webhooks([9] * WEBHOOKS_OF_ANSWERS)
            lines += rows(name, app.config["ENVIRON"], answers, rounds, at_once)
    report.table(["", *COLUMNS], lines)
    if backlog:
        _beside_pass(backlog, answers, at_once)


def _beside_pass(backlog: int, posts: int, at_once: int) -> None:
    with receivers.running(Behaviour()) as receiver, temp_book.fresh() as app:
        temp_book.add_webhooks(receiver.ports * WEBHOOKS)
        temp_book.fill(app, backlog // WEBHOOKS)
        with processes.served(app.config["ENVIRON"]) as (port, _):
            lines = [_waits(f"alone, {number} at once", port, posts, number) for number in (1, at_once)]
            with processes.running(processes.PASS, app.config["ENVIRON"]):
                processes.until(lambda: receiver.count > 0, "The pass")
                lines += [_waits(f"beside a pass, {one} at once", port, posts, one) for one in (1, at_once)]
                sent = receiver.count
    report.table(["", "posts", "p50 ms", "p99 ms", "failed"], lines)
    click.echo(f"The pass sent {sent:,} meanwhile.{'' if sent < backlog else ' IT HAD NOTHING MORE TO DO.'}")


def _waits(name: str, port: int, posts: int, at_once: int) -> list[report.Cell]:
    sign = _signing(port, at_once)
    sent = [sign("/comments", number) for number in range(posts)]
    done = raw_client.exchange(port, sent, at_once)
    return [*report.percentiles(name, done.times), posts - done.statuses[KINDS["POST"]]]


def rows(
    server: str, environ: Mapping[str, str], count: int, rounds: int, at_once: int
) -> list[Sequence[report.Cell]]:
    """Return the rows of a table below COLUMNS for a server, its kinds of requests in turn."""
    port, environ = free_port(), {**environ, "PYTHONPATH": str(report.ROOT)}
    with processes.running(web_servers.command(server, port), environ) as process:
        processes.until(lambda: processes.listens(port), server)
        sign = _signing(port, at_once)
        raw_client.exchange(port, [sign("/comments", -number) for number in range(1, SHOWN + 1)], 1)
        found: dict[str, list[Round]] = {kind: [] for kind in KINDS}
        with _nginx(requests.get(f"http://127.0.0.1:{port}/", timeout=60).text) as (file_port, nginx):
            for number in range(rounds):
                numbers = range(number * count, (number + 1) * count)
                for kind, sent in _sent(port, sign, numbers).items():
                    found[kind].append(_round(kind, process.pid, port, sent, at_once))
                sent = [raw_client.request(file_port, "/", HEADERS)] * count
                found[FILE].append(_round(FILE, nginx, file_port, sent, at_once))
    bare = found["a bare Flask view"]
    return [_row(f"{server}, {kind}", count, one, bare) for kind, one in found.items()]


@contextmanager
def _nginx(page: str) -> Iterator[tuple[int, int]]:
    """Let nginx serve a page from a file; give the port and the process id."""
    with TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder, port))
        Path(folder, "index.html").write_text(page)
        with processes.running(["nginx", "-p", folder, "-c", str(config), "-e", "stderr"], {}) as process:
            processes.until(lambda: processes.listens(port), "nginx")
            yield port, process.pid


def _signing(port: int, at_once: int) -> Sign:
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=60)
    token, started = temp_book.hidden_field(page.text, "token"), time.time()

    def sign(path: str, number: int) -> bytes:
        message = f"{temp_book.MESSAGE} {started} {number}"
        form = urlencode({"token": token, "name": f"Ada {number % at_once}", "message": message}).encode()
        return raw_client.request(port, path, HEADERS, form)

    return sign


def _sent(port: int, sign: Sign, numbers: range) -> dict[str, list[bytes]]:
    """Return a round's requests by kind, for the front page as it is now."""
    tag = requests.get(f"http://127.0.0.1:{port}/", headers=HEADERS, timeout=60).headers["ETag"]
    return {
        "a bare Flask view": [raw_client.request(port, web_servers.PATH, HEADERS)] * len(numbers),
        "front page": [raw_client.request(port, "/", HEADERS)] * len(numbers),
        "front page, 304": [raw_client.request(port, "/", {**HEADERS, "If-None-Match": tag})] * len(numbers),
        "a bare POST that stores the rows": [sign(web_servers.PATH, number) for number in numbers],
        "POST": [sign("/comments", number) for number in numbers],
    }


def _round(kind: str, pid: int, port: int, sent: Sequence[bytes], at_once: int) -> Round:
    meter = Meter([pid])
    done = raw_client.exchange(port, sent, at_once)
    usage = meter.usage(done.seconds)
    if set(done.statuses) != {KINDS[kind]}:
        raise click.ClickException(f"{kind}: {dict(done.statuses)} in place of {KINDS[kind]}.")
    p99 = sorted(done.times)[len(sent) * 99 // 100]
    return len(sent) / done.seconds, usage.cpu / len(sent) * 1000, p99


def _row(name: str, count: int, rounds: Sequence[Round], bare: Sequence[Round]) -> list[report.Cell]:
    rates, (rate, cpu, p99) = [one[0] for one in rounds], map(median, zip(*rounds, strict=True))
    bare_rate, bare_cpu, _ = map(median, zip(*bare, strict=True))
    to_bare = report.ratio(rate, bare_rate), report.ratio(cpu, bare_cpu)
    return [name, count * len(rounds), rate, report.spread(rates), to_bare[0], cpu, to_bare[1], p99]
