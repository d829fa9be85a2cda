"""The comments from the shell."""

import click
from sqlalchemy import select

from guestbook import book
from guestbook.cli import show
from guestbook.database import db, writing
from guestbook.models import Comment
from guestbook.models.comment import STATUSES


@click.group()
def comments() -> None:
    """List and delete comments."""


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
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@show.command
def delete(ids: tuple[str, ...]) -> None:
    """Delete comments for good.

    The webhooks that want `comment.deleted` are told.
    """
    with writing() as session:
        found = dict.fromkeys(show.find(Comment, short_id) for short_id in ids)
        for comment in found:
            book.delete(session, comment, show.settings())
    click.echo(f"Deleted {len(found)} comment{'s' if len(found) > 1 else ''}.")
