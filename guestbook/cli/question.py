"""The question before a command that changes much."""

import sys

import click

from guestbook.lib.errors import Refused


def ask(question: str, *, nothing: str, verb: str, as_json: bool) -> None:
    """Ask on a terminal; raises Refused where the answer is no, and elsewhere.

    `nothing` says that nothing was done, and `verb` completes “Add --yes to …”.
    """
    if as_json or not sys.stdin.isatty():
        raise Refused(f"{nothing} Add --yes to {verb} without a question.")
    if not click.confirm(question):
        raise Refused(nothing)
