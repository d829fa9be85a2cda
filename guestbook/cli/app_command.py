"""Run a command in the application: errors become one sentence and an exit code; and what was typed."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup, with_appcontext
from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeout

from guestbook.background import public_files
from guestbook.cli import options, output, program
from guestbook.lib.errors import TRY_LATER, Refused
from guestbook.lib.text import printable, shortened
from guestbook.settings import Settings, environment, installation
from guestbook.settings.installation import PROGRAM
from guestbook.storage import audit_log, database, database_errors, hits_and_notes
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault, SecondHost, WrongVersion

LONGEST_SENTENCE = 2_000  # characters
PASSES, FILL_SECONDS = ("cron", "deliver", "relay"), 20.0  # These write public files for so long.
REPAIRS = {
    Fault.NO_TABLES: "Create them with: {}",
    Fault.OLD_TABLES: "Update them with: {}",
    Fault.TOO_OLD: "Upgrade the book with an earlier program first, as the page on upgrades says.",
    Fault.NEW_TABLES: "Update the program, or restore a backup from before.",
}

typed = installation.typed
log = logging.getLogger(__name__)


class WrongInput(click.ClickException):
    """What was typed, which no book could accept."""

    exit_code = click.UsageError.exit_code


class AppCommand(click.Command):
    """A command that runs in the application, on a book of the program's version."""

    any_version = False

    def invoke(self, ctx: click.Context) -> None:
        """Run it as `call` does."""
        fill = FILL_SECONDS if self.name in PASSES else 0.0
        call(partial(super().invoke, ctx), any_version=self.any_version, fill=fill)


class AnyVersionCommand(AppCommand):
    """A command that looks at the book's version itself, or needs no book."""

    any_version = True


class NounCommand(AppCommand):
    """A command of a noun, which takes --json."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        output.json_option(self)


class Group(click.Group):
    """The commands of one noun."""

    command_class = NounCommand


@with_appcontext
def call(function: Callable[[], object], *, any_version: bool = False, fill: float = 0.0) -> None:
    """Call a function in the application, on a book of the program's version or of any.

    Exit with 2 when no book could accept what was typed, with 1 when this one refuses it or the version is
    wrong, with 75 when the database cannot be used.
    """
    with options.log_shown(settings().log_format):
        audit_log.act_as(Actor("command", name=" ".join(_typed_words()) or None))
        try:
            if not any_version:
                database.require_version(db.engine)
            database.retry_conflicts(function)
            if not any_version:
                keep_files_right(fill)
        except (Refused, SecondHost) as error:
            is_wrong = isinstance(error, Refused) and error.fields and not error.only_here
            # A file or a book of strangers may have a part in the sentence.
            said = shortened(printable(str(error)), LONGEST_SENTENCE)
            raise (WrongInput if is_wrong else click.ClickException)(said) from None
        except MemoryError:
            log.error("This host's limit on memory (ulimit -v) is too low for this command.")
            sys.exit(TRY_LATER)
        except (DBAPIError, PoolTimeout, WrongVersion) as error:
            _exit(error)


def _exit(error: DBAPIError | PoolTimeout | WrongVersion) -> NoReturn:
    """End with the sentence that fits the database's error."""
    fault = database_errors.fault_of(error)
    if fault is Fault.DAMAGED and settings().on_sqlite:  # The page that restores a backup opens then.
        hits_and_notes.note_damage(settings().data_dir, database_errors.words(error))
    is_clear = fault is Fault.NO_TABLES or isinstance(error, WrongVersion)
    sentence = fault.value if is_clear else f"{fault.value}: {database_errors.words(error)}"
    advice = database_errors.advice_on_damage(error) if fault is Fault.DAMAGED else REPAIRS.get(fault)
    said = [f"{sentence}. {advice.format(typed(fault.repair or ''))}" if advice else sentence]
    said += getattr(error, "__notes__", ())  # A command may add a sentence.
    shows_code = options.is_verbose() and not is_clear
    log.error(". ".join(said), exc_info=error if shows_code else None)
    sys.exit(TRY_LATER if fault is Fault.AWAY else 1)


def next_pass(by_itself: str, now: str) -> str:
    """Say when a pass takes what was just stored: beside `run` by itself, else with a command."""
    return by_itself if environment.chosen_folder(settings().data_dir) else f"{now}: {typed('cron -v')}"


def settings() -> Settings:
    """Return the settings of the application."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read


def keep_files_right(seconds: float = 0.0) -> None:
    """Remove public files that this command has made wrong, or in a pass write files for so many seconds."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # of a proxy
    if seconds:
        public_files.write(app, seconds)
    else:
        public_files.remove_stale(app)


def typed_name() -> str | None:
    """Return the name, without that of a command below it; None in a web server and for other commands."""
    context = click.get_current_context(silent=True)
    root = context.find_root() if context else None
    if root is None or not (isinstance(root.command, FlaskGroup) or root.command.name == PROGRAM):
        return None  # It is the command line of a web server.
    # Without a context of its own, Flask loads the application to look for the command.
    words = _typed_words() or root.command.make_parser(root).parse_args(sys.argv[1:])[1]
    return words[0] if words and words[0] in program.COMMAND_MODULES else None


def _typed_words() -> list[str]:
    """Return the words of the command as somebody typed it: `webhooks`, `delete`."""
    words: list[str] = []
    context = click.get_current_context(silent=True)
    while context and context.parent:  # The last one is the program, whose name may have blanks.
        words.insert(0, context.info_name or "")
        context = context.parent
    return words
