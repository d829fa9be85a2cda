"""The commands for comments."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from sqlalchemy.orm import Session

from guestbook.cli import app_command, comment_files, output, row_commands
from guestbook.cli.options import Choice
from guestbook.comments import comment_actions, comment_json
from guestbook.comments.spam import learned_words, spam_report
from guestbook.lib import clock, validate
from guestbook.lib.text import counted, printable, shortened
from guestbook.queries import filtered_lists, statistics
from guestbook.storage import engines
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery
from guestbook.storage.models.comment import COMMENT_STATUSES

NAMED_COMMENTS = 10
RESTORE_HELP = """Bring comments back from trash or spam.

They are published again, or held if they were suspicious."""
several = click.argument("ids", nargs=-1, required=True, metavar="ID...")


def _page(_context: object, _parameter: object, given: str | None) -> str | None:
    """Read --page; the callback of the option."""
    try:
        return given and validate.web_page(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group(cls=app_command.Group)
def comments() -> None:
    """List comments, publish or hold them, reply, delete, export and import."""


@comments.command("list")
@click.option("--status", type=Choice(COMMENT_STATUSES), help="Only those with this status.")
@click.option("--search", metavar="WORDS", help="Only those with these words in what the visitor typed.")
@click.option("--page", metavar="URL", callback=_page, help="Only those about this page of a website.")
@row_commands.limit_option
def list_(status: str | None, search: str | None, page: str | None, limit: int) -> None:
    """List comments, newest first."""
    rows = row_commands.newest(
        partial(filtered_lists.comments, db.session(), status, search, page=page), limit
    )
    columns = {"WHEN": "created_at", "STATUS": "status", "NAME": "name", "MESSAGE": "message"}
    empty = "There is no such comment." if status or search or page else "No comments yet."
    row_commands.print_rows(rows, _document, columns, empty)


def _add_move(name: str, status: str | None, did: str, help_text: str) -> None:
    """Add the command that moves comments to this status; None stands for the one before."""

    @comments.command(name, help=help_text)
    @several
    def move(ids: tuple[str, ...]) -> None:
        settings = app_command.settings()
        with writing() as session:
            found = _locked(session, ids)
            for comment in found:
                if status:
                    comment_actions.decide(session, comment, status, settings)
                else:
                    comment_actions.restore(session, comment, settings)
            facts = list(map(_document, found))
        output.print_done(facts, f"{did} {counted(len(found), 'comment')}.")


_add_move("approve", "published", "Published", "Publish comments that were held or wrongly marked as spam.")
_add_move("hold", "held", "Held", "Hide comments until you decide.")
_add_move("spam", "spam", "Marked as spam", "Mark comments as spam.")
_add_move("trash", "trash", "Moved to the trash:", "Move comments to the trash; `restore` brings them back.")
_add_move("restore", None, "Restored", RESTORE_HELP)


@comments.command()
@click.argument("short_id", metavar="ID")
# A callback reads -, because the command may run more than once.
@click.argument(
    "text", required=False, callback=lambda _context, _, given: sys.stdin.read() if given == "-" else given
)
@click.option("--remove", is_flag=True, help="Remove the reply.")
def reply(short_id: str, text: str | None, remove: bool) -> None:
    """Reply to a comment; a new reply replaces the old one.

    The reply stands under the comment. With - as TEXT it is read from standard input.
    """
    message = text or ""
    if remove == bool(message.strip()):
        raise click.UsageError("Give the text of the reply, or --remove to remove it.")
    with writing() as session:
        [comment] = _locked(session, [short_id])
        comment_actions.reply(session, comment, message, app_command.settings())
        facts = _document(comment)
    output.print_done(facts, "Removed the reply." if remove else "Replied.")


@comments.command()
@several
@output.yes_option
def delete(ids: tuple[str, ...], yes: bool) -> None:
    """Delete comments for good.

    Webhooks that want `comment.deleted` get it. On a terminal it says what goes, and asks.
    """
    chosen = {row.id: row for row in (row_commands.find(Comment, one) for one in ids)}
    output.ask_on_terminal(lambda: _going(list(chosen.values())), yes)
    with writing() as session:
        found = comment_actions.lock(session, list(chosen))
        for comment in found:
            comment_actions.delete(session, comment, app_command.settings())
    engines.clear_wal(db.engine)
    output.print_done({"deleted": [one.id for one in found]}, f"Deleted {counted(len(found), 'comment')}.")


comments.add_command(comment_files.export)
comments.add_command(comment_files.import_)


@comments.command()
@click.argument("short_id", metavar="ID")
def show(short_id: str) -> None:
    """Show a comment with the reasons for its status."""
    row = row_commands.find(Comment, short_id)
    facts = _document(row)
    output.end_with_json(facts)
    parts = ("reply", "message", "note", "reason", "reasons", "decisions")
    output.print_groups(facts | dict.fromkeys(parts), {})
    output.print_text("Reasons", "\n".join(row.all_reasons))
    output.print_part("Decisions", {clock.to_text(one.at): one.sentence for one in row.all_decisions})
    output.print_text("Message", row.message)
    output.print_text("Note to you", row.note)
    output.print_text("Reply", row.reply.message if row.reply else None)


def _document(row: Comment) -> dict[str, Any]:
    return comment_json.for_owner(row, app_command.settings().base_url)


def _going(chosen: Sequence[Comment]) -> str:
    """Say what is deleted with these comments."""
    lines = [f"{_shortened(one.name, 24)}: {_shortened(one.message, 60)}" for one in chosen[:NAMED_COMMENTS]]
    waits = Delivery.comment_id.in_([one.id for one in chosen]) & Delivery.due_at.is_not(None)
    waiting = statistics.count_some(db.session(), waits, Delivery)
    replies = sum(one.reply is not None for one in chosen)
    counts = {("reply", "replies"): replies, ("waiting delivery", "waiting deliveries"): waiting}
    parts = [counted(count, *words) for words, count in counts.items() if count]
    going = f"{counted(len(chosen), 'comment')} {'goes' if len(chosen) == 1 else 'go'} for good"
    return "\n".join([*lines, f"{going}, with {' and '.join(parts)}." if parts else f"{going}."])


def _shortened(text: str, limit: int) -> str:
    return shortened(" ".join(printable(text).split()), limit)


def _locked(session: Session, ids: Sequence[str]) -> list[Comment]:
    return comment_actions.lock(session, [row_commands.find(Comment, short_id).id for short_id in ids])


@click.group(cls=app_command.Group)
def spam() -> None:
    """Show what the spam rules refused and learned, or let the score forget."""


@spam.command("show")
def show_spam() -> None:
    """Show comments refused at the form, a flood, and what the score has learned."""
    report = spam_report.read(db.session(), app_command.settings().secret_key, clock.now())
    output.end_with_json(report.shape())
    output.print_table(
        ("REFUSED", "30 DAYS", "TODAY"),
        [(one.sentence, f"{one.number:,}", f"{one.today:,}") for one in report.refused],
        "No comment was refused at the form in the last 30 days.",
    )
    until = report.held_until and clock.to_text(report.held_until)
    flood = until and f"\nA flood came, so all comments are held until {until}."
    output.say(flood, f"\n{report.score_sentence}")


@spam.command()
def end_flood() -> None:
    """Stop holding all comments because of a flood."""
    with writing() as session:
        spam_report.end_flood(session.connection(), app_command.settings().secret_key)
    output.print_done({"held_until": None}, "New comments are published again.")


@spam.command()
@output.yes_option
def forget(yes: bool) -> None:
    """Erase what the score has learned from your decisions. A terminal asks first."""
    output.ask_on_terminal(lambda: "You cannot undo this.", yes, "Forget all words")
    with writing() as session:
        count = learned_words.forget_all(session, app_command.settings().secret_key)
    output.print_done({"forgotten": count}, f"Forgot {counted(count, 'word')}.")
