"""The commands about spam."""

import click

from guestbook.cli import app_command, output
from guestbook.comments.spam import comment_facts, learned_words, spam_report
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.storage.database import db, writing


@click.group(cls=app_command.Group)
def spam() -> None:
    """Show what the spam rules refused and learned, or let the score forget."""


@spam.command()
@output.as_json
def show(as_json: bool) -> None:
    """Show comments refused at the form, a flood, and what the score has learned."""
    report = spam_report.read(db.session(), app_command.settings().secret_key, clock.now())
    if as_json:
        output.print_json(report.shape())
        return
    output.print_table(
        ("REFUSED", "30 DAYS", "TODAY"),
        [(one.sentence, f"{one.number:,}", f"{one.today:,}") for one in report.refused],
        "No comment was refused at the form in the last 30 days.",
    )
    if report.held_until:
        click.echo(f"\nA flood came, so all comments are held until {clock.to_text(report.held_until)}.")
    click.echo(f"\n{report.score_sentence}")


@spam.command()
@output.as_json
def end_flood(as_json: bool) -> None:
    """Stop holding all comments because of a flood."""
    with writing() as session:
        comment_facts.end_flood(session.connection(), app_command.settings().secret_key)
    output.print_done("New comments are published again.", {"held_until": None}, as_json)


@spam.command()
@output.yes_option
@output.as_json
def forget(yes: bool, as_json: bool) -> None:
    """Erase what the score has learned from your decisions. A terminal asks first."""
    output.ask_on_terminal(lambda: "You cannot undo this.", yes, "Forget all words")
    with writing() as session:
        count = learned_words.forget_all(session, app_command.settings().secret_key)
    output.print_done(f"Forgot {counted(count, 'word')}.", {"forgotten": count}, as_json)
