"""A burst of webhooks from others, over HTTP, while a pass works through them on the same database."""

import hashlib
import hmac
import json

import click
from sqlalchemy import func, select

from guestbook.inbound import senders
from guestbook.lib import clock
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from scripts.benchmarks.support import bursts, processes, report, temp_book, waiting
from scripts.benchmarks.support.bursts import Request

SECRET = "a secret that GitHub knows too"


@click.command()
@click.option("--posts", default=2000, show_default=True, help="Webhooks of the burst.")
@click.option("--at-once", default=20, show_default=True, help="Senders at once, as fast as they can.")
@temp_book.server_option
def inbox(posts: int, at_once: int, server: str | None) -> None:
    """Post signed webhooks beside a pass that makes comments of them: do senders wait, is any lost?"""
    with temp_book.fresh(server) as app:
        report.heading(db.engine)
        _add_source()
        environ = app.config["ENVIRON"]
        with processes.served(environ) as (port, _), processes.draining(environ):
            began = clock.now()
            burst = bursts.post(port, _webhook, posts, at_once=at_once)
            sent = clock.now()
            waiting.until(_is_empty, "The pass", every=0.1)
            processed = clock.now()
        query = select(InboundEvent.status, func.count()).group_by(InboundEvent.status)
        rows = dict(db.session.execute(query).all())
    report.table(["", "many", "p50 ms", "p99 ms"], [report.percentiles("webhooks", burst.times)])
    click.echo(f"Answers: {dict(burst.statuses)} in {(sent - began).total_seconds():.1f} s.")
    click.echo(f"Rows: {rows}, {posts - sum(rows.values())} lost.")
    click.echo(f"Processed {(processed - sent).total_seconds():.1f} s after the last answer.")


def _add_source() -> None:
    source = Source(name="GitHub", token="burst", verify="github", secret=SECRET, action="comment")
    source.template = senders.PRESETS["github-issues"]
    with writing() as session:
        session.add(source)


def _webhook(number: int) -> Request:
    """Return what GitHub would send about an issue: about 8 kB, signed."""
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
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": f"delivery-{number}",
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    return "/hooks/burst", body, headers


def _is_empty() -> bool:
    """Whether no event waits for the pass."""
    db.session.rollback()
    return not db.session.scalar(select(func.count()).where(InboundEvent.due_at.is_not(None)))
