"""A burst of webhooks from others, over HTTP, while a pass works through them on the same database."""

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections import Counter

import click
from sqlalchemy import func, select

from guestbook.inbound import template_presets
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import InboundEvent, Source
from scripts.benchmarks.support import served_book as sites
from scripts.benchmarks.support import temp_book

SECRET = "a secret that GitHub knows too"
PATIENCE = 120  # seconds until all must be worked through


@click.command()
@click.option("--posts", default=2000, show_default=True, help="Webhooks of the burst.")
@click.option("--at-once", default=20, show_default=True, help="Senders at once, as fast as they can.")
@click.option("--server", help="The URL of a database server, in place of SQLite.")
def inbox(posts: int, at_once: int, server: str | None) -> None:
    """Post signed webhooks beside a pass that makes comments of them: do senders wait, is any lost?"""
    with temp_book.fresh(server) as app:
        _add_source()
        with sites.serving(app) as site, sites.draining(app):
            began = clock.now()
            times, statuses = _burst(site, posts, at_once)
            seconds = (clock.now() - began).total_seconds()
            left = _wait_for_all()
            worked = (clock.now() - began).total_seconds()
        query = select(InboundEvent.status, func.count()).group_by(InboundEvent.status)
        counts = dict(db.session.execute(query).all())
    times.sort()
    p50, p99 = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
    click.echo(f"answers: {dict(statuses)} in {seconds:.1f} s, median {p50:.1f} ms, p99 {p99:.1f} ms")
    lost = posts - sum(counts.values())
    click.echo(f"rows: {counts}, lost {lost}, waiting {left}; worked through after {worked:.1f} s")


def _add_source() -> None:
    with database.writing() as session:
        given = {
            "name": "GitHub",
            "token": "burst",
            "verify": "github",
            "secret": SECRET,
            "action": "comment",
        }
        session.add(Source(**given, template=template_presets.READY["github-issues"]))


def _burst(site: int, posts: int, at_once: int) -> tuple[list[float], Counter[int]]:
    times: list[float] = []
    statuses: Counter[int] = Counter()
    numbers = iter(range(posts))
    lock = threading.Lock()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site, timeout=60)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            body, headers = _webhook(number)
            before = time.perf_counter()
            connection.request("POST", "/hooks/burst", body, headers)
            answer = connection.getresponse()
            answer.read()
            with lock:
                times.append(time.perf_counter() - before)
                statuses[answer.status] += 1

    threads = [threading.Thread(target=send) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, statuses


def _webhook(number: int) -> tuple[bytes, dict[str, str]]:
    """Return what GitHub would send of an issue: about 8 kB, signed."""
    issue = {
        "number": number,
        "title": f"Issue {number}",
        "html_url": f"https://example.org/{number}",
        "body": "x" * 7500,
    }
    repository = {"full_name": "ada/roof", "html_url": "https://example.org/roof"}
    sender = {"login": "ada", "html_url": "https://example.org/ada"}
    payload = {"action": "opened", "issue": issue, "repository": repository, "sender": sender}
    body = json.dumps(payload).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": f"delivery-{number}",
        "X-Hub-Signature-256": f"sha256={digest}",
    }


def _wait_for_all() -> int:
    """Wait until nothing is left to be worked through; return how many are."""
    deadline = time.monotonic() + PATIENCE
    while True:
        db.session.rollback()
        left = db.session.scalar(select(func.count()).where(InboundEvent.due_at.is_not(None))) or 0
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
