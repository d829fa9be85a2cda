"""Types of options that Click lacks."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A number within limits. Click's own accepts `nan`, which is neither below nor above any limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn the option's text into a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number
