"""`scripts/proof`: one command for each kind of proof."""

from importlib import import_module

import click

NAMES = "edges", "faults", "fuzz", "kills", "model", "mutants", "power", "year"
MODULES = {name: f"proof.{name}" for name in NAMES} | {"power": "proof.power_cut"}


class Proofs(click.Group):
    """Imports a proof when it is asked for: some import much, and settings of the tests with it."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return getattr(import_module(MODULES[name]), name) if name in MODULES else None


@click.group(cls=Proofs)
def proof() -> None:
    """Prove what the guestbook promises. It ends with 1 if it finds a loss or misses a broken twin."""


if __name__ == "__main__":
    proof(prog_name="scripts/proof")
