"""The comments from the shell."""

import click
from sqlalchemy import select

from guestbook import book
from guestbook.cli import show
from guestbook.database import db, writing
from guestbook.models import Comment
from guestbook.models.comment import STATUSES

several = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group()
def comments() -> None:
    """List comments, decide what stands in the book, delete."""


@comments.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@show.as_json
@show.command
def list_(status: str | None, limit: int, as_json: bool) -> None:
    """List comments, newest first."""
    query = select(Comment).order_by(Comment.id.desc()).limit(limit)
    if status:
        query = query.where(Comment.status == status)
    rows = db.session.scalars(query).all()
    if as_json:
        show.print_json([show.document(row, leave_out=("form_key",)) for row in rows])
        return
    show.print_table(
        ("ID", "WHEN", "STATUS", "NAME", "MESSAGE"),
        [
            (row.id, row.created_at, row.status, show.shorten(row.name, 24), show.shorten(row.message, 60))
            for row in rows
        ],
        "No comments yet.",
    )


@comments.command()
@several
@show.command
def approve(ids: tuple[str, ...]) -> None:
    """Publish comments that were held, or taken for spam by mistake."""
    _move(ids, "published", "Published")


@comments.command()
@several
@show.command
def hold(ids: tuple[str, ...]) -> None:
    """Take comments off the page until you decide."""
    _move(ids, "held", "Held")


@comments.command()
@several
@show.command
def spam(ids: tuple[str, ...]) -> None:
    """Mark comments as spam."""
    _move(ids, "spam", "Marked as spam")


@comments.command()
@several
@show.command
def trash(ids: tuple[str, ...]) -> None:
    """Take comments out of the book; `restore` brings them back."""
    _move(ids, "trash", "Threw away")


@comments.command()
@several
@show.command
def restore(ids: tuple[str, ...]) -> None:
    """Bring comments back from the trash or the spam.

    They go onto the page again, or are held where they were suspicious.
    """
    _move(ids, None, "Restored")


@comments.command()
@several
@show.command
def delete(ids: tuple[str, ...]) -> None:
    """Delete comments for good.

    The webhooks that want `comment.deleted` are told.
    """
    with writing() as session:
        found = _find(ids)
        for comment in found:
            book.delete(session, comment, show.settings())
    _say("Deleted", found)


def _move(ids: tuple[str, ...], status: str | None, did: str) -> None:
    with writing() as session:
        found = _find(ids)
        for comment in found:
            book.move(session, comment, status or comment.home, show.settings())
    _say(did, found)


def _find(ids: tuple[str, ...]) -> list[Comment]:
    return list(dict.fromkeys(show.find(Comment, short_id) for short_id in ids))


def _say(did: str, found: list[Comment]) -> None:
    click.echo(f"{did} {len(found)} comment{'s' if len(found) > 1 else ''}.")
