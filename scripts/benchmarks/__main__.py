"""`scripts/bench`: one command for each question."""

import os

import click

from scripts.benchmarks.deliver import deliver
from scripts.benchmarks.growth import growth
from scripts.benchmarks.hostile import hostile
from scripts.benchmarks.latency import latency
from scripts.benchmarks.soak import soak
from scripts.benchmarks.start import start
from scripts.benchmarks.web import web

MOST_LOAD = 1.0  # of the last minute, at which a bench still starts


class BenchGroup(click.Group):
    """Looks at the load before a bench starts, and not before its help."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the bench that was named."""
        if "--help" not in ctx.args:
            load = os.getloadavg()[0]
            click.echo(f"- load: {load:.2f} in the last minute, before this bench")
            if load > MOST_LOAD and not ctx.params["_is_busy"]:
                busy = f"This machine is busy: its load is above {MOST_LOAD}."
                raise click.ClickException(f"{busy} Wait, or start anyway with --busy.")
        return super().invoke(ctx)


@click.group(cls=BenchGroup)
@click.option("--busy", "_is_busy", is_flag=True, help="Start even if other programs keep this machine busy.")
def bench(_is_busy: bool) -> None:
    """Measure the guestbook on this machine, against loopback only."""


for command in (deliver, growth, hostile, latency, soak, start, web):
    bench.add_command(command)

if __name__ == "__main__":
    bench()
