"""The secrets of webhooks and sources: reading them from standard input, and printing new ones.

Other users of the host can see a command's arguments.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from guestbook.cli import output
from guestbook.cli.options import FiniteRange

LONGEST_OVERLAP = 30 * 24  # hours
STDIN = "-"
SECRET_LINE_LIMIT = 4096  # bytes
MOST_LINES = 20
EMPTY_INPUT = "Standard input is empty."
F = TypeVar("F", bound=Callable[..., Any])


def option(_context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read an option that is a secret; the option's callback."""
    return _line(str(param.name).replace("_", " ").capitalize()) if value == STDIN else value


def headers(_context: click.Context, _param: click.Parameter, lines: Sequence[str]) -> tuple[str, ...]:
    """Read headers. `NAME: -` takes its value from standard input, and `-` alone takes all lines there.

    The callback of an option that may be repeated. Several such values take a line each, in their order.
    """
    read: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if line.strip() == STDIN:
            read += _lines()
        elif colon and value.strip() == STDIN:
            read.append(f"{name}: {_line(name.strip())}")
        else:
            read.append(line)
    return tuple(read)


def overlap_option(is_valid: str, noun: str = "secret") -> Callable[[F], F]:
    """Return the option for how long the old secret is valid; `is_valid` is the verb for that."""
    return click.option(
        "--overlap-hours",
        type=FiniteRange(0, LONGEST_OVERLAP),
        default=24,
        show_default=True,
        help=f"How long the old {noun} {is_valid} beside the new one.",
    )


def print_new_secret(facts: dict[str, Any], overlap_hours: float, is_valid: str, as_json: bool) -> None:
    """Print the new secret, which is missing where it was given, and until when the old one is valid."""
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"The new secret: {facts['secret']}" if "secret" in facts else "The new secret is set.")
    _print_end(facts["previous_secret_expires_at"] if overlap_hours else None, is_valid)


def print_new_key(facts: dict[str, Any], overlap_hours: float, is_valid: str, as_json: bool) -> None:
    """Print the new public key, and until when the old key signs."""
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"The new public key: {facts['public_key']}")
    _print_end(facts["previous_signing_key_expires_at"] if overlap_hours else None, is_valid)


def _print_end(end: str | None, is_valid: str) -> None:
    click.echo(f"The old one {is_valid} {f'beside it until {end}' if end else 'no more'}.")


def _line(prompt: str) -> str:
    """Return the next line of standard input; a terminal prompts for it and shows nothing."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True))
    line = _decoded(sys.stdin.buffer.readline(SECRET_LINE_LIMIT + 1))
    if not line:
        raise click.ClickException(EMPTY_INPUT)
    return line


def _lines() -> list[str]:
    """Return all lines of standard input that are not empty."""
    lines = list(filter(None, map(_decoded, sys.stdin.buffer.readlines(MOST_LINES * SECRET_LINE_LIMIT))))
    if not lines:
        raise click.ClickException(EMPTY_INPUT)
    return lines


def _decoded(line: bytes) -> str:
    if len(line) > SECRET_LINE_LIMIT:
        raise click.ClickException(f"A line on standard input is longer than {SECRET_LINE_LIMIT:,} bytes.")
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        raise click.ClickException("Standard input is not UTF-8.") from None
