"""Secrets from standard input: other users of a host see what stands after a command."""

import sys
from collections.abc import Sequence

import click

STDIN = "-"  # what an option says for "from standard input"
LINE_LIMIT = 4096  # bytes; no secret is as long
LINES_LIMIT = 20
NOTHING = "Nothing came in on standard input."


def option(_context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read an option that is a secret; the option's callback."""
    return _line(str(param.name).capitalize()) if value == STDIN else value


def headers(_context: click.Context, _param: click.Parameter, lines: Sequence[str]) -> tuple[str, ...]:
    """Read headers: `NAME: -` has its value on standard input, and a mere `-` stands for all lines there.

    The callback of an option that may be repeated; of several such values each has a line, in their order.
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


def _line(prompt: str) -> str:
    """Return the next line of standard input; a terminal is asked, and shows nothing."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True))
    line = _decoded(sys.stdin.buffer.readline(LINE_LIMIT + 1))
    if not line:
        raise click.ClickException(NOTHING)
    return line


def _lines() -> list[str]:
    """Return all lines of standard input that say something."""
    lines = [line for line in map(_decoded, sys.stdin.buffer.readlines(LINES_LIMIT * LINE_LIMIT)) if line]
    if not lines:
        raise click.ClickException(NOTHING)
    return lines


def _decoded(line: bytes) -> str:
    if len(line) > LINE_LIMIT:
        raise click.ClickException(f"A line on standard input is longer than {LINE_LIMIT:,} bytes.")
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        raise click.ClickException("What came in on standard input is not UTF-8.") from None
