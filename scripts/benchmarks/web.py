"""Signing over HTTP while a pass runs at full speed on the same SQLite file."""

import http.client
import re
import threading
import time
import urllib.parse

import click

from scripts.benchmarks.support import fast_receiver, temp_book
from scripts.benchmarks.support import served_book as sites

Times = list[float]


@click.command()
@click.option("--backlog", default=120_000, show_default=True, help="Deliveries that the pass has to drain.")
@click.option("--posts", default=200, show_default=True, help="Comments of one poster at 40 a second.")
@click.option("--at-once", default=8, show_default=True, help="Posters at once, as fast as they can.")
def web(backlog: int, posts: int, at_once: int) -> None:
    """Post comments beside a pass at full speed: how long visitors wait, and whether any post fails."""
    with fast_receiver.running() as (port, count), temp_book.fresh() as app:
        temp_book.add_webhooks([port] * 8)
        temp_book.fill(app, backlog // 8)
        with sites.serving(app) as site:
            _report("alone, one poster at 40/s", _post(site, posts, every=0.025))
            _report(f"alone, {at_once} at once", _at_once(site, at_once, posts // 4))
            with sites.draining(app):
                _report("beside a pass, one poster at 40/s", _post(site, posts, every=0.025))
                _report(f"beside a pass, {at_once} at once", _at_once(site, at_once, posts // 4))
                still = count.value < backlog
    click.echo(f"the pass sent {count.value:,} meanwhile" + ("" if still else "; IT HAD NOTHING MORE TO DO"))


def _post(site: int, posts: int, every: float = 0.0, name: str = "Ada") -> Times:
    """Sign so many times; the times are seconds, minus one for a post that failed."""
    token = _token(site)
    connection = http.client.HTTPConnection("127.0.0.1", site, timeout=30)
    times, start = [], time.perf_counter()
    for number in range(posts):
        if every:
            time.sleep(max(0.0, start + number * every - time.perf_counter()))
        fields = {"token": token, "name": name, "message": f"{temp_book.MESSAGE} {number}"}
        before = time.perf_counter()
        connection.request(
            "POST",
            "/comments",
            urllib.parse.urlencode(fields),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - before if answer.status == 303 else -1.0)
    return times


def _at_once(site: int, posters: int, posts: int) -> Times:
    times: Times = []
    threads = [
        threading.Thread(
            target=lambda name: times.extend(_post(site, posts, name=name)), args=(f"Ada {number}",)
        )
        for number in range(posters)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _report(what: str, times: Times) -> None:
    failed = sum(1 for one in times if one < 0)
    times = sorted(times)
    p50, p99 = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
    click.echo(f"{what:<36} {len(times)} posts, {failed} failed, median {p50:.1f} ms, p99 {p99:.1f} ms")


def _token(site: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", site, timeout=30)
    connection.request("GET", "/")
    match = re.search(r'name="token" value="([^"]+)"', connection.getresponse().read().decode())
    assert match
    return match[1]
