"""Ten minutes of everything at once on a served book: is anything lost or sent twice, does memory grow?"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import click
from sqlalchemy import Engine, func, select

from guestbook.lib import clock, signatures
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, INBOUND
from scripts.benchmarks.support import processes, receivers, report, temp_book
from scripts.benchmarks.support.process_usage import memory
from scripts.benchmarks.support.receivers import Behaviour, Memory
from scripts.benchmarks.support.traffic import HOOK, Crontab, Log, Traffic, repeating
from tests.support import factories

BEHAVIOURS = (
    Behaviour("quick", remembers=True),
    Behaviour("quick too", remembers=True),
    Behaviour("fails a tenth", fails_every=10, remembers=True),
    Behaviour("50 ms", delay=0.05, remembers=True),
    Behaviour("hangs", delay=math.inf, remembers=True),
)
SETTINGS = {
    "RETRY_SCHEDULE": "0,1,2,4,8,15,30",  # so that retries end within the run
    "TIMEOUT": "2",
    "TRUSTED_PROXIES": "1",  # visitors come from many networks
}
TEMPLATE = "{% set name = 'The roof' %}{{ payload.text }}"
SAMPLE_EVERY = 10.0  # seconds, or a twelfth of a shorter run
SHORTEST = 2.0  # minutes; the memory of a shorter run proves nothing
MOST_GROWTH = 0.10  # of the memory after the first minute
FIGURES = {"web": "web, MB", "cron": "passes, MB", "waiting": "deliveries that wait"}
POSITIVE = click.FloatRange(0, min_open=True)
NOT_NEGATIVE = click.FloatRange(0)
Receiver = tuple[str, Behaviour, Memory]  # with its webhook's id first


class Account(NamedTuple):
    """How many of each; none may be above zero."""

    lost: Mapping[str, int]  # comments that a healthy receiver never accepted, by its name
    unrecorded: int  # requests without an attempt on record: they were sent twice, or will be
    unprocessed: int  # inbound events that were accepted and are not processed


Sample = Mapping[str, float]  # the second of the run, and a figure by each name of FIGURES


class Growth(NamedTuple):
    """A figure after the first minute and at the end."""

    first: float
    last: float

    @property
    def share(self) -> float:
        """Return the growth as a part of the first."""
        return self.last / self.first - 1 if self.first else 0.0


@click.command()
@click.option("--minutes", default=10.0, type=POSITIVE, show_default=True, help="How long.")
@click.option("--comments", default=20.0, type=NOT_NEGATIVE, show_default=True, help="Comments a second.")
@click.option("--pass-seconds", default=60.0, type=POSITIVE, show_default=True, help="From pass to pass.")
@temp_book.server_option
def soak(minutes: float, comments: float, pass_seconds: float, server: str | None) -> None:
    """Let people sign and read, programs send, the owner click, and receivers answer well and badly.

    Ends with 1 when something was lost or sent twice, or when memory has grown by more than a tenth since the
    first minute.
    """
    with (
        receivers.running(*BEHAVIOURS) as receiver,
        temp_book.fresh(server, **SETTINGS) as app,
        processes.served(app.config["ENVIRON"]) as (port, web),
    ):
        secret = signatures.new_secret()
        source = {"token": HOOK, "verify": "standard", "secret": secret, "action": "comment"}
        # Its comments go to the webhooks.
        factories.source(**source, template=TEMPLATE, relayed_since=clock.now())
        webhooks = temp_book.add_webhooks(receiver.ports)
        load = f"{minutes:g} minutes of up to {comments:g} comments a second, a pass every {pass_seconds:g} s"
        names = ", ".join(behaviour.name for behaviour in BEHAVIOURS)
        report.heading(db.engine, {"load": load, "receivers": names})
        hanging = [webhook for webhook, one in zip(webhooks, BEHAVIOURS, strict=True) if not one.is_healthy]
        crontab, traffic = Crontab(app, pass_seconds), Traffic(f"http://127.0.0.1:{port}", secret)
        engine, start, samples = db.engine, time.monotonic(), list[Sample]()

        def take_sample() -> None:
            passes = sum(memory(one.pid) for one in crontab.passes)  # 0 between two
            sample = {"web": memory(web), "cron": passes, "waiting": waiting(engine, hanging)[0]}
            samples.append({"second": time.monotonic() - start, **sample})

        with crontab.running():
            with repeating(take_sample, lambda: min(SAMPLE_EVERY, minutes * 5)), traffic.running(comments):
                time.sleep(minutes * 60)
            with suppress(click.ClickException):  # the account shows what is missing
                processes.until(lambda: not any(waiting(db.engine, hanging)), every=0.2)
        had = zip(webhooks, BEHAVIOURS, receiver.memories(), strict=True)
        account = account_of(db.engine, traffic.log, list(had))
        grown = {name: growth(samples, name, minutes) for name in FIGURES}
        _print(traffic.log, account, grown, len(crontab.passes))
        reasons = complaints(account, grown if minutes >= SHORTEST else {}, crontab.output.read_text())
    if reasons:
        raise click.ClickException(" ".join(reasons))


def complaints(account: Account, grown: Mapping[str, Growth], output: str) -> list[str]:
    """Return a sentence for each problem. `grown` has the figures to check, `output` is cron's mail."""
    found = [f"{count:,} comments never came to {name}." for name, count in account.lost.items() if count]
    if account.unprocessed:
        found.append(f"{account.unprocessed:,} webhooks to us have become no comment.")
    if account.unrecorded:
        found.append(f"{account.unrecorded:,} requests are on no record.")
    for name in ("web", "cron"):
        if name in grown and grown[name].share > MOST_GROWTH:
            found.append(f"{FIGURES[name]}: {grown[name].share:.0%} more than after the first minute.")
    if "Traceback" in output:
        found.append(f"A pass broke down: {output.strip().splitlines()[-1]}")
    return found


def account_of(engine: Engine, log: Log, receivers: Sequence[Receiver]) -> Account:
    """Compare what was accepted with what arrived and is on record."""
    made, sent = INBOUND.c.comment_id, DELIVERIES.c
    with engine.connect() as connection:
        comment_of = dict(connection.execute(select(INBOUND.c.id, made).where(made.is_not(None))).all())
        rows = connection.execute(select(sent.webhook_id, sent.event_id, sent.attempts))
        attempts = {(webhook, event): number for webhook, event, number in rows}
    comments = {*log.comments, *(comment_of[one] for one in log.events if one in comment_of)}
    healthy = [(one.name, memory) for _, one, memory in receivers if one.is_healthy]
    lost = {name: len(comments - memory.accepted.keys()) for name, memory in healthy}
    unrecorded = sum(
        max(0, count - attempts.get((webhook, event), 0))
        for webhook, _, memory in receivers
        for event, count in Counter(event.decode() for _, event in memory.arrivals).items()
    )
    return Account(lost, unrecorded, sum(one not in comment_of for one in log.events))


def waiting(engine: Engine, hanging: Sequence[str]) -> tuple[int, int]:
    """Return how many deliveries wait, but for the webhooks that hang, and how many inbound events."""
    others = DELIVERIES.c.status == "new", DELIVERIES.c.webhook_id.not_in(hanging)
    with engine.connect() as connection:
        deliveries = connection.scalar(select(func.count()).where(*others)) or 0
        return deliveries, connection.scalar(select(func.count()).where(INBOUND.c.status == "new")) or 0


def growth(samples: Sequence[Sample], name: str, minutes: float) -> Growth:
    """Return the growth of one of the figures; passes come and go, so the most of each stretch counts."""
    warm = min(60.0, minutes * 60 / 4)
    first = [one[name] for one in samples if warm / 2 <= one["second"] <= warm * 1.5]
    last = [one[name] for one in samples if one["second"] >= minutes * 60 - warm]
    return Growth(max(first, default=0.0), max(last, default=0.0))


def _print(log: Log, account: Account, grown: Mapping[str, Growth], passes: int) -> None:
    figures = ((FIGURES[name], one.first, one.last, f"{one.share:.0%}") for name, one in grown.items())
    report.table(["", "after a minute", "at the end", "more"], figures)
    times = defaultdict(list)
    for kind, milliseconds in log.answers:
        times[kind].append(milliseconds)
    answers = [report.percentiles(*one) for one in sorted(times.items())]
    report.table(["answers", "many", "p50 ms", "p99 ms"], answers)
    counts: dict[str, int | float] = {
        "comments accepted": len(log.comments),
        "webhooks to us accepted": len(log.events),
        "deliveries redelivered by hand": len(log.redelivered),
        **{f"refused: {reason}": many for reason, many in sorted(Counter(log.refused).items())},
        "passes": passes,
        **{f"lost to: {name}": many for name, many in account.lost.items()},
        "sent without a record": account.unrecorded,
        "inbound events that made no comment": account.unprocessed,
    }
    report.table(["in the end", ""], counts.items())
