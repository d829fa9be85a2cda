"""Run a command in the application: errors become one sentence and an exit code."""

import logging
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from guestbook.cli import terminal_log
from guestbook.lib import unit_of_work
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage import database_errors
from guestbook.storage.database_errors import Fault

TRY_LATER = 75  # exit code; EX_TEMPFAIL of sysexits.h
INIT_DB = {Fault.NO_TABLES: "Create them", Fault.OLD_TABLES: "Update them"}
OUT_OF_MEMORY = "This host's limit on memory (ulimit -v) is too low for this command."

log = logging.getLogger(__name__)


class AppCommand(click.Command):
    """A command that runs in the application."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; exit with 1 when it is refused, with 75 when the database is away."""
        return with_appcontext(partial(self._run, partial(super().invoke, ctx)))()

    def _run(self, function: Callable[[], Any]) -> Any:
        with terminal_log.shown(settings().log_format):
            try:
                return unit_of_work.complete(function)
            except Refused as error:
                raise click.ClickException(str(error)) from None
            except MemoryError:
                log.error(OUT_OF_MEMORY)
                sys.exit(TRY_LATER)
            except (DBAPIError, PoolTimeout) as error:
                _exit(error)


class Group(click.Group):
    """The commands of one noun, each of which runs in the application."""

    command_class = AppCommand


def _exit(error: DBAPIError | PoolTimeout) -> NoReturn:
    """End with the sentence that fits the database's error."""
    fault = database_errors.fault_of(error)
    sentence = fault.value if fault is Fault.NO_TABLES else f"{fault.value}: {database_errors.words(error)}"
    advice = f". {INIT_DB[fault]} with: {typed('init-db')}" if fault in INIT_DB else ""
    log.error(sentence + advice, exc_info=error if terminal_log.is_verbose() else None)
    sys.exit(TRY_LATER if fault is Fault.AWAY else 1)


def typed(words: str) -> str:
    """Return a command as the reader must type it here: `flask` alone is often not on the path."""
    flask = sys.argv[0] if Path(sys.argv[0]).name == "flask" else "flask"
    short = "flask" if shutil.which("flask") == flask else shlex.quote(flask)
    return f"{short} --app guestbook {words}"


def settings() -> Settings:
    """Return the settings of the application."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read
