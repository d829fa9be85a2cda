"""`scripts/proof`: one command for each kind of proof."""

import click

from proof.edges import edges
from proof.fuzz import fuzz
from proof.kills import kills
from proof.model import model
from proof.mutants import mutants
from proof.power_cut import power
from proof.year import year


@click.group()
def proof() -> None:
    """Prove what the guestbook promises. It ends with 1 if it finds a loss or misses a broken twin."""


proof.add_command(edges)
proof.add_command(fuzz)
proof.add_command(kills)
proof.add_command(model)
proof.add_command(mutants)
proof.add_command(power)
proof.add_command(year)

if __name__ == "__main__":
    proof(prog_name="scripts/proof")
