"""The questions before a command changes or deletes much."""

import sys
from collections.abc import Callable

import click

from guestbook.lib.errors import Refused
from guestbook.storage.database import db

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def ask(question: str, *, nothing: str, verb: str, as_json: bool) -> None:
    """Ask on a terminal; raises Refused where the answer is no, and elsewhere.

    `nothing` says that nothing was done, and `verb` completes “Add --yes to …”.
    """
    if as_json or not sys.stdin.isatty():
        raise Refused(f"{nothing} Add --yes to {verb} without a question.")
    if not _is_confirmed(question):
        raise Refused(nothing)


def ask_on_terminal(what_goes: Callable[[], str], yes: bool, verb: str = "Delete") -> None:
    """Say on a terminal what a command deletes, and ask; raises Refused where the answer is no.

    Elsewhere nothing is asked, because scripts delete too.
    """
    if yes or not sys.stdin.isatty():
        return
    question = f"{what_goes()} {verb}?"
    db.session.rollback()  # nobody waits in a transaction for an answer
    if not _is_confirmed(question, err=True):
        raise Refused("Nothing was changed.")


def _is_confirmed(question: str, *, err: bool = False) -> bool:
    """Ask once, even if the command runs again because another transaction was in its way."""
    answers = click.get_current_context().meta.setdefault(__name__, {})
    if question not in answers:
        answers[question] = click.confirm(question, err=err)
    return bool(answers[question])
