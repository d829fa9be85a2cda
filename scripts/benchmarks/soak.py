"""Ten minutes of everything at once on a served book: is anything lost or sent twice, does memory grow?"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click
from sqlalchemy import Engine, select

from guestbook.auth import login
from guestbook.lib import clock, signing
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from scripts.benchmarks import pages
from scripts.benchmarks.support import process_samples as samples_
from scripts.benchmarks.support import receivers as support_receivers
from scripts.benchmarks.support import reconciliation, report, served_book, temp_book
from scripts.benchmarks.support.cron_passes import Crontab
from scripts.benchmarks.support.load_generator import PLACE, Log, Rates, Traffic
from scripts.benchmarks.support.process_samples import Growth, Sample, Sampler
from scripts.benchmarks.support.receivers import Manner
from scripts.benchmarks.support.reconciliation import Account

MANNERS = (
    Manner("quick"),
    Manner("quick too"),
    Manner("fails a tenth", fails_every=10),
    Manner("50 ms", delay=0.05),
    Manner("hangs", delay=math.inf),
)
SETTINGS = {
    "RETRY_SCHEDULE": "0,1,2,4,8,15,30",  # so that retries come to their end within the run
    "TIMEOUT": "2",
    "TRUSTED_PROXIES": "1",  # visitors come from many networks
}
TEMPLATE = "{% set name = 'The roof' %}{{ payload.text }}"
SAMPLE_EVERY = 10.0  # seconds, or a twelfth of a shorter run
JUDGED_FROM = 2.0  # minutes; the memory of a shorter run says nothing
MOST_GROWTH = 0.10  # of the memory after the first minute
PATIENCE = 120.0  # seconds after the end, in which all must arrive
FIGURES = {"web": "web, MB", "cron": "passes, MB", "file": "on disk, MB", "waiting": "deliveries that wait"}
POSITIVE = click.FloatRange(0, min_open=True)
NOT_NEGATIVE = click.FloatRange(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a run."""

    minutes: float
    rates: Rates
    pass_seconds: float
    kills: float  # seconds from one to the next; 0 is none

    def told(self) -> dict[str, str]:
        """Return it in words."""
        rates = self.rates
        return {
            "load": f"{self.minutes:g} minutes of up to {rates.comments:g} comments, {rates.reads:g} pages, "
            f"{rates.webhooks:g} webhooks to us and {rates.clicks:g} clicks a second",
            "receivers": ", ".join(manner.name for manner in MANNERS),
            "cron": f"a pass every {self.pass_seconds:g} s"
            + (f", killed every {self.kills:g} s" if self.kills else ""),
        }


@click.command()
@click.option("--minutes", default=10.0, type=POSITIVE, show_default=True, help="How long.")
@click.option("--comments", default=20.0, type=NOT_NEGATIVE, show_default=True, help="Comments a second.")
@click.option("--pass-seconds", default=60.0, type=POSITIVE, show_default=True, help="From pass to pass.")
@click.option("--kills", default=0.0, type=NOT_NEGATIVE, help="Kill the pass every so many seconds.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def soak(minutes: float, comments: float, pass_seconds: float, kills: float, server: str | None) -> None:
    """Let people sign and read, programs send, the owner click, and receivers answer well and badly.

    Ends with 1 when something was lost, when something was sent twice that no kill explains, or when memory
    has grown by more than a tenth since the first minute.
    """
    plan = Plan(minutes, Rates(comments=comments), pass_seconds, kills)
    with (
        support_receivers.hearing(MANNERS) as receivers,
        temp_book.fresh(server, **SETTINGS) as app,
        served_book.served(app) as (port, web),
    ):
        engine, secret = db.engine, _set_up(receivers.ports)
        report.heading(engine, plan.told())
        names = _names()
        ailing = [webhook for webhook, manner in names.items() if not manner.is_healthy]
        crontab, traffic = Crontab(app, pass_seconds), Traffic(f"http://127.0.0.1:{port}", secret)
        sampler = Sampler(engine, web, crontab.alive, ailing)
        late, explained = _go(plan, engine, crontab, traffic, sampler, ailing)
        heard = {
            webhook: (manner.name, memory)
            for (webhook, manner), memory in zip(names.items(), receivers.heard(), strict=True)
        }
        account = reconciliation.settle(engine, traffic.log, heard, ailing, explained)
        grown = {name: samples_.growth(sampler.samples, name, minutes) for name in FIGURES}
        _print(traffic.log, account, grown, crontab, late)
        reasons = complaints(account, grown if minutes >= JUDGED_FROM else {}, crontab.said())
    if reasons:
        raise click.ClickException(" ".join(reasons))


def _go(
    plan: Plan, engine: Engine, crontab: Crontab, traffic: Traffic, sampler: Sampler, ailing: Sequence[str]
) -> tuple[float, int]:
    """Let it all go on; return the seconds until all had arrived, and what kills explain."""
    explained = [0]
    with crontab.running():
        with (
            sampler.every(min(SAMPLE_EVERY, plan.minutes * 5), _teller(traffic.log)),
            crontab.killing(plan.kills, lambda: explained.append(reconciliation.in_hand(engine))),
            traffic.going_on(plan.rates),
        ):
            time.sleep(plan.minutes * 60)
        return _wait(engine, ailing), sum(explained)


def complaints(account: Account, grown: Mapping[str, Growth], said: str) -> list[str]:
    """Return a sentence for each thing that must not be. `grown` is what is judged, `said` is cron's mail."""
    found = [f"{count:,} comments never came to {name}." for name, count in account.lost.items() if count]
    if account.unprocessed:
        found.append(f"{account.unprocessed:,} webhooks to us have become no comment.")
    if account.unrecorded > account.explained:
        found.append(
            f"{account.unrecorded:,} requests are on no record, and kills explain {account.explained:,}."
        )
    for name in ("web", "cron"):
        if name in grown and grown[name].share > MOST_GROWTH:
            found.append(f"{FIGURES[name]}: {grown[name].share:.0%} more than after the first minute.")
    if "Traceback" in said:
        found.append(f"A pass broke down: {said.strip().splitlines()[-1]}")
    return found


def _set_up(ports: Sequence[int]) -> str:
    """Add the webhooks, a source whose comments they hear of, and a password; return the source's secret."""
    temp_book.add_webhooks(list(ports))
    secret = signing.new_secret()
    with writing() as session:
        login.set_password(session, pages.PASSWORD)
        source = Source(name="The roof", token=PLACE, verify="standard", secret=secret, action="comment")
        source.template, source.relayed_since = TEMPLATE, clock.now()
        session.add(source)
    return secret


def _names() -> dict[str, Manner]:
    """Return the manners of the receivers by the ids of their webhooks."""
    with writing() as session:
        webhooks = session.scalars(select(Webhook.id).order_by(Webhook.id)).all()
    return dict(zip(webhooks, MANNERS, strict=True))


def _teller(log: Log) -> Callable[[Sample], None]:
    """Return what prints a line for each minute."""
    told = [0]

    def tell(sample: Sample) -> None:
        minute = int((sample.second + SAMPLE_EVERY / 2) // 60)
        if minute > told[0]:
            told[0] = minute
            click.echo(
                f"minute {minute}: {len(log.comments):,} comments, web {sample.web:.0f} MB, "
                f"pass {sample.cron:.0f} MB, on disk {sample.file:.0f} MB, "
                f"{sample.waiting:,} deliveries wait, the oldest due one for {sample.due_age:.1f} s",
                err=True,
            )

    return tell


def _wait(engine: Engine, ailing: Sequence[str]) -> float:
    """Wait until nothing waits but for what hangs; return the seconds that took."""
    start = time.monotonic()
    while not reconciliation.is_settled(engine, ailing) and time.monotonic() < start + PATIENCE:
        time.sleep(0.2)
    return time.monotonic() - start


def _print(log: Log, account: Account, grown: Mapping[str, Growth], crontab: Crontab, late: float) -> None:
    report.table(
        ["", "after a minute", "at the end", "more", "a minute"],
        [[FIGURES[name], one.first, one.last, f"{one.share:.0%}", one.slope] for name, one in grown.items()],
    )
    report.table(["answers", "many", "p50 ms", "p99 ms"], [_times(*one) for one in sorted(log.times.items())])
    counts: dict[str, int | float] = {
        "comments accepted": len(log.comments),
        "webhooks to us accepted": len(log.events),
        "deliveries sent again by hand": len(log.redelivered),
        **{f"refused: {why}": many for why, many in sorted(log.refused.items())},
        "passes": crontab.started,
        "killed": crontab.kills,
        **{f"lost to: {name}": many for name, many in account.lost.items()},
        "sent without a record": account.unrecorded,
        "of which kills explain": account.explained,
        "inbound events that became nothing": account.unprocessed,
        "deliveries not final, but for what hangs": account.not_final,
        "deliveries given up, but for what hangs": account.given_up,
        "seconds until all had arrived": late,
    }
    report.table(["in the end", ""], counts.items())


def _times(what: str, times: Sequence[float]) -> list[report.Cell]:
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [*times] * 99
    return [what, len(times), cuts[49], cuts[98]]
