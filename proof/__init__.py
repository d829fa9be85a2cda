"""How we know that no webhook is lost: what `scripts/proof` runs."""
