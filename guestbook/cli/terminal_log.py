"""A command shows warnings of the log on stderr, and with -v what it does on stdout."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from guestbook.lib.json_log import RAISING_LOGGERS, JsonFormatter
from guestbook.lib.text import printable

VERBOSE = "guestbook.verbose"  # A key in click's context.


def verbose_option(help_text: str) -> Callable[[Any], Any]:
    """Return the -v of a command. The command does not read it: it only logs."""
    words, note = ("-v", "--verbose"), lambda context, _, value: context.meta.update({VERBOSE: value})
    return click.option(*words, is_flag=True, expose_value=False, callback=note, help=help_text)


def is_verbose() -> bool:
    """Whether the running command has -v."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(VERBOSE))


@contextmanager
def shown(log_format: str) -> Iterator[None]:
    """Show the log on the terminal as long as a command runs."""
    root, ours, handler = logging.getLogger(), logging.getLogger("guestbook"), _Handler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else _TextFormatter())
    level = ours.level
    root.addHandler(handler)
    if is_verbose():
        ours.setLevel(logging.INFO)
    for name in RAISING_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING if is_verbose() else logging.CRITICAL)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


class _TextFormatter(logging.Formatter):
    """Writes the message alone, below the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = f"{self.formatException(record.exc_info)}\n" if record.exc_info else ""
        prefix = "guestbook: " if record.levelno == logging.WARNING else ""  # Cron mails these.
        return traceback + prefix + printable(record.getMessage())


class _Handler(logging.Handler):
    """Writes to the streams that Python has at this moment. A full disk or a closed pipe stops no pass."""

    def emit(self, record: logging.LogRecord) -> None:
        is_error = record.levelno >= logging.WARNING
        try:
            click.echo(self.format(record), err=is_error)
        except OSError:  # The rest is discarded, and so is what Python flushes at its end.
            with suppress(OSError):
                stream = sys.stderr if is_error else sys.stdout
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
