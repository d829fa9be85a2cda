"""`scripts/bench`: one command for each question."""

import click

from scripts.benchmarks.deliver import deliver


@click.group()
def bench() -> None:
    """Measure the guestbook on this machine, against loopback only."""


bench.add_command(deliver)

if __name__ == "__main__":
    bench()
