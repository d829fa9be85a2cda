"""The commands for comments."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from sqlalchemy.orm import Session

from guestbook.cli import app_command, list_options, output, row_lookup
from guestbook.cli.help_sections import Group
from guestbook.comments import book
from guestbook.lib.text import counted
from guestbook.queries import listing
from guestbook.storage import engine_setup
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.storage.models.comment import COMMENT_STATUSES


def _or_standard_input(_context: object, _parameter: object, given: str | None) -> str | None:
    """Read what is given as - before the command begins, which may be run again."""
    return sys.stdin.read() if given == "-" else given


several = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group(cls=Group)
def comments() -> None:
    """List, publish, hold, answer and delete comments."""


@comments.command("list")
@click.option("--status", type=click.Choice(COMMENT_STATUSES), help="Only those.")
@click.option("--search", metavar="WORDS", help="Only those with these words in name, message or website.")
@list_options.limit_option
@output.as_json
@app_command.run
def list_(status: str | None, search: str | None, limit: int, as_json: bool) -> None:
    """List comments, newest first."""
    rows = list_options.newest(partial(listing.comments, db.session(), status, search), limit)
    if as_json:
        output.print_json([_document(row) for row in rows])
        return
    output.print_table(
        ("ID", "WHEN", "STATUS", "NAME", "MESSAGE"),
        [
            (
                row.id,
                row.created_at,
                row.status,
                output.shorten(row.name, 24),
                output.shorten(row.message, 60),
            )
            for row in rows
        ],
        "There is no such comment." if status or search else "No comments yet.",
    )


@comments.command()
@several
@app_command.run
def approve(ids: tuple[str, ...]) -> None:
    """Publish comments that were held, or taken for spam by mistake."""
    _move(ids, "published", "Published")


@comments.command()
@several
@app_command.run
def hold(ids: tuple[str, ...]) -> None:
    """Take comments off the page until you decide."""
    _move(ids, "held", "Held")


@comments.command()
@several
@app_command.run
def spam(ids: tuple[str, ...]) -> None:
    """Mark comments as spam."""
    _move(ids, "spam", "Marked as spam")


@comments.command()
@several
@app_command.run
def trash(ids: tuple[str, ...]) -> None:
    """Take comments out of the book; `restore` brings them back."""
    _move(ids, "trash", "Threw away")


@comments.command()
@several
@app_command.run
def restore(ids: tuple[str, ...]) -> None:
    """Bring comments back from the trash or the spam.

    They go onto the page again, or are held where they were suspicious.
    """
    _move(ids, None, "Restored")


@comments.command()
@click.argument("short_id", metavar="ID")
@click.argument("text", required=False, callback=_or_standard_input)
@click.option("--remove", is_flag=True, help="Take the answer away.")
@app_command.run
def reply(short_id: str, text: str | None, remove: bool) -> None:
    """Answer a comment, in place of an earlier answer.

    It stands under the comment. A TEXT of - reads it from standard input.
    """
    message = text or ""
    if remove == bool(message.strip()):
        raise click.UsageError("Give the text of the answer, or --remove to take it away.")
    with writing() as session:
        for comment in _locked(session, [short_id]):
            book.reply(session, comment, message, app_command.settings())
    click.echo("Removed the answer." if remove else "Answered.")


@comments.command()
@several
@app_command.run
def delete(ids: tuple[str, ...]) -> None:
    """Delete comments for good.

    The webhooks that want `comment.deleted` are told.
    """
    with writing() as session:
        found = _locked(session, ids)
        for comment in found:
            book.delete(session, comment, app_command.settings())
    engine_setup.clear_wal(db.engine)
    _say("Deleted", found)


def _document(row: Comment) -> dict[str, Any]:
    reply = row.reply.public() if row.reply else None
    return {**output.document(row, leave_out=("form_key", "announced_at")), "reply": reply}


def _move(ids: tuple[str, ...], status: str | None, did: str) -> None:
    with writing() as session:
        found = _locked(session, ids)
        for comment in found:
            if status:
                book.move(session, comment, status, app_command.settings())
            else:
                book.restore(session, comment, app_command.settings())
    _say(did, found)


def _locked(session: Session, ids: Sequence[str]) -> list[Comment]:
    return book.lock(session, [row_lookup.find(Comment, short_id).id for short_id in ids])


def _say(did: str, found: list[Comment]) -> None:
    click.echo(f"{did} {counted(len(found), 'comment')}.")
