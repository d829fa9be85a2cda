"""The webhooks from the shell."""

from datetime import timedelta
from typing import Any

import click

from guestbook import browse, clock, desk, standing
from guestbook.cli import owners, secrets, show
from guestbook.cli.help import Group
from guestbook.database import db, writing
from guestbook.formats import FORMATS
from guestbook.models import Delivery, Webhook
from guestbook.models.webhook import EVENTS
from guestbook.text import counted

IS_GOOD = "signs"  # what an old secret does for a while

event_option = click.option(
    "--event", "events", multiple=True, help=f"Send this event (repeatable): {', '.join(EVENTS)}."
)
header_option = click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    callback=secrets.headers,
    help="Send this header too (repeatable). A VALUE of - is read from standard input.",
)
format_option = click.option(
    "--format", "format_name", type=click.Choice(list(FORMATS)), help="The format of the body."
)
template_option = click.option(
    "--template", metavar="TEXT", help="A Jinja template that gives the body, which must be JSON."
)


@click.group(cls=Group)
def webhooks() -> None:
    """Manage the webhooks: URLs that get the book's events."""


@webhooks.command()
@click.argument("url", callback=secrets.option)
@click.option("--name", help="What you call it; by default the URL's host.")
@format_option
@template_option
@event_option
@header_option
@click.option("--disabled", is_flag=True, help="Do not send yet; deliveries wait until it is enabled.")
@show.as_json
@show.command
def add(as_json: bool, disabled: bool, **fields: Any) -> None:
    """Send events to URL, and print its secret.

    A URL of - is read from standard input: the URL of a chat service works like a password.
    It gets comment.created, unless --event names others. A known chat service gets its own format, any other
    URL json; --format chooses another.
    """
    with writing() as session:
        webhook = desk.add(session, show.given(fields), show.settings(), disabled=disabled)
        facts = _facts(webhook)
    _warn(facts["url"])
    if as_json:
        show.print_json(facts)
        return
    click.echo(f"Added webhook {facts['id']} for {facts['events']}.")
    if not fields["format_name"] and facts["format"] not in ("json", "template"):
        click.echo(f"Its format is {facts['format']}, as its URL suggests; --format would name another.")
    if facts["url"] != fields["url"]:
        click.echo(f"It is sent to {facts['url']}")
    click.echo(f"Its secret, which the receiver needs to verify: {facts['secret']}")
    click.echo(f"Try it: {show.typed('webhooks test ' + facts['id'])}")


@webhooks.command("list")
@show.as_json
@show.command
def list_(as_json: bool) -> None:
    """List the webhooks, how they are doing, what waits for them and what was given up in seven days."""
    rows = standing.all_of(db.session(), clock.now())
    if as_json:
        show.print_json([show.document(row.webhook, leave_out=owners.SECRETS) for row in rows])
        return
    failed = browse.failed_lately(db.session(), Delivery, clock.now())
    length = show.shortest([row.webhook.id for row in rows])
    show.print_table(
        ("ID", "NAME", "STATE", "WAITING", "FAILED", "EVENTS", "URL"),
        [
            (
                *(row.webhook.id[:length], row.webhook.name, row.word, owners.many(row.waiting)),
                *(failed.counts.get(row.webhook.id, 0), row.webhook.events, row.webhook.url),
            )
            for row in rows
        ],
        f"No webhooks yet. Add one: {show.typed('webhooks add URL')}",
        cut=("NAME", "EVENTS", "URL"),
    )
    owners.say_cut(failed)


@webhooks.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@show.command
def show_(id_: str, as_json: bool) -> None:
    """Show one, its secret and what waits for it."""
    row = show.find(Webhook, id_)
    if as_json:
        show.print_json(_facts(row))
        return
    shown = {**_facts(row), "state": standing.in_short(row, clock.now())}
    show.print_fields({**shown, "deliveries": owners.by_status(Delivery, Delivery.webhook_id == row.id)})


@webhooks.command()
@click.argument("id_", metavar="ID")
@click.option("--url", callback=secrets.option, help="Send to this URL from now on; waiting deliveries too.")
@click.option("--name", help="What you call it.")
@format_option
@template_option
@event_option
@header_option
@click.option("--no-headers", is_flag=True, help="Send no headers of its own any more.")
@show.command
def update(id_: str, no_headers: bool, **fields: Any) -> None:
    """Change a webhook; what is not named stays. --event and --header replace the whole list."""
    wanted = show.given(fields)
    if no_headers and "headers" in wanted:
        raise click.UsageError("--header replaces all headers, so --no-headers beside it is too much.")
    if no_headers:
        wanted["headers"] = ()
    if not wanted:
        raise click.UsageError(f"Say what to change: see {show.typed('webhooks update --help')}")
    with writing() as session:
        webhook = show.find(Webhook, id_)
        desk.update(session, webhook, wanted, show.settings())
        row_id, url = webhook.id, webhook.url
    click.echo(f"Updated webhook {row_id}.")
    if "url" in wanted:
        _warn(url)


@webhooks.command()
@click.argument("id_", metavar="ID")
@show.command
def enable(id_: str) -> None:
    """Send to it again.

    Its waiting deliveries go out with the next pass.
    """
    with writing():
        webhook = show.find(Webhook, id_)
        webhook.enable()
    click.echo(f"Enabled webhook {webhook.id}.")


@webhooks.command()
@click.argument("id_", metavar="ID")
@show.command
def disable(id_: str) -> None:
    """Send nothing more to it; its deliveries wait."""
    with writing():
        webhook = show.find(Webhook, id_)
        webhook.disable(clock.now(), "by_hand")
    click.echo(f"Disabled webhook {webhook.id}.")


@webhooks.command("rotate-secret")
@click.argument("id_", metavar="ID")
@owners.overlap_option(IS_GOOD)
@show.as_json
@show.command
def rotate_secret(id_: str, overlap_hours: float, as_json: bool) -> None:
    """Make a new secret and print it.

    For a while both the old and the new one sign, so that no delivery is refused.
    """
    with writing() as session:
        webhook = show.find(Webhook, id_)
        webhook.rotate_secret(clock.now(), timedelta(hours=overlap_hours))
        session.flush()
        facts = show.document(webhook)
    if as_json:
        show.print_json(facts)
        return
    owners.print_new_secret(facts, overlap_hours, IS_GOOD)


@webhooks.command()
@click.argument("id_", metavar="ID")
@show.as_json
@show.command
def test(id_: str, as_json: bool) -> None:
    """Queue a `ping` for it.

    The next pass sends it like any other delivery.
    """
    with writing() as session:
        webhook = show.find(Webhook, id_)
        delivery = desk.ping(session, webhook, show.settings())
        facts, hindrance = show.document(delivery), standing.hindrance(webhook, clock.now())
    if as_json:
        show.print_json(facts)
        return
    click.echo(f"Queued delivery {facts['id']}. Send it now: {show.typed('cron -v')}")
    if hindrance:
        click.echo(hindrance)


@webhooks.command()
@click.argument("id_", metavar="ID")
@show.command
def delete(id_: str) -> None:
    """Remove a webhook and all its deliveries.

    They go for good, sent or not. To keep them, disable it instead.
    """
    webhook = show.find(Webhook, id_)
    row_id = webhook.id
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = desk.delete(db.engine, row_id)
    click.echo(f"Deleted webhook {row_id} and {counted(count, 'delivery', 'deliveries')}.")


def _warn(url: str) -> None:
    """Say on stderr what is doubtful about a URL that was taken."""
    for warning in desk.warnings(url, show.settings()):
        click.echo(f"Warning: {warning}", err=True)


def _facts(row: Webhook) -> dict[str, Any]:
    """Return its columns, and its template where it has one."""
    wording = desk.template_of(db.session(), row)
    return show.document(row) | ({"template": wording} if wording else {})
