"""`scripts/bench`: one command for each question."""

import click

from scripts.benchmarks.claims import claims
from scripts.benchmarks.deliver import deliver
from scripts.benchmarks.first_webhook import first_webhook
from scripts.benchmarks.growth import growth
from scripts.benchmarks.hostile import hostile
from scripts.benchmarks.inbox import inbox
from scripts.benchmarks.latency import latency
from scripts.benchmarks.pages import pages
from scripts.benchmarks.soak import soak
from scripts.benchmarks.spam import spam
from scripts.benchmarks.start import start
from scripts.benchmarks.upgrade import upgrade
from scripts.benchmarks.web import web
from scripts.benchmarks.without_cron import without_cron
from scripts.benchmarks.workers import workers


@click.group()
def bench() -> None:
    """Measure the guestbook on this machine, against loopback only."""


bench.add_command(claims)
bench.add_command(deliver)
bench.add_command(first_webhook)
bench.add_command(growth)
bench.add_command(hostile)
bench.add_command(inbox)
bench.add_command(latency)
bench.add_command(pages)
bench.add_command(soak)
bench.add_command(spam)
bench.add_command(start)
bench.add_command(upgrade)
bench.add_command(web)
bench.add_command(without_cron)
bench.add_command(workers)

if __name__ == "__main__":
    bench()
