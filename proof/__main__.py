"""`scripts/proof`: one command for each kind of proof."""

import click

from proof.model import model


@click.group()
def proof() -> None:
    """Prove what the guestbook promises. It ends with 1 if it finds a loss or misses a broken twin."""


proof.add_command(model)

if __name__ == "__main__":
    proof(prog_name="scripts/proof")
