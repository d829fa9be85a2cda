"""Types of options that Click lacks."""

import math
from datetime import datetime
from typing import Any

import click

from guestbook.lib import clock


class FiniteRange(click.FloatRange):
    """A number within limits. Click's own accepts `nan`, which is neither below nor above any limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn the option's text into a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def moment(_context: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Read a moment as people type it; the callback of an option."""
    try:
        return None if value is None else clock.typed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
