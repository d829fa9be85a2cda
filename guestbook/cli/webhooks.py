"""The commands for webhooks."""

from datetime import timedelta
from typing import Any

import click

from guestbook.cli import app_command, output, question, row_counts, row_lookup, secrets, webhook_options
from guestbook.cli.webhook_options import fields_of_webhook, secret_option
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.outbound import webhook_shapes, webhook_signatures, webhook_urls
from guestbook.outbound import webhooks as outbound_webhooks
from guestbook.queries import bounded_counts, state_words, webhook_status
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook

GROUPS_OF_WEBHOOK = {
    "Messages": (
        *("events", "format", "template", "headers", "rate", "next_slot_at"),
        *("moderation_links_since", "github_headers_since"),
    ),
    "Signatures": (
        *("sign_with", "secret", "previous_secret", "previous_secret_expires_at"),
        *("public_key", "previous_public_key", "previous_signing_key_expires_at"),
    ),
    "Failures": (
        *("disabled_at", "disabled_reason", "paused_until", "failing_since"),
        *("failures_in_a_row", "unreachable_in_a_row"),
    ),
}
ALSO_SIGNS = "signs"  # an old secret, for a while


@click.group(cls=app_command.Group)
def webhooks() -> None:
    """Manage webhooks: URLs that get the book's events."""


@webhooks.command()
@click.argument("url", callback=secrets.option, is_eager=True)
@click.option("--name", help="The name you give it, by default the URL's host.")
@fields_of_webhook
@secret_option
@click.option("--disabled", is_flag=True, help="Send nothing yet; deliveries wait until you enable it.")
@output.as_json
def add(as_json: bool, disabled: bool, **fields: Any) -> None:
    """Send events to URL, and print its secret.

    With - the URL is read from standard input: the URL of a chat service works like a password. If more is
    read there, the URL is the first line. The webhook gets comment.created unless you name other events. Its
    format is that of a known chat service, or json.
    """
    with writing() as session:
        webhook = outbound_webhooks.add(
            session, output.given(fields), app_command.settings(), disabled=disabled
        )
        facts = webhook_options.facts(webhook)
    _warn(webhook.url)
    if as_json:
        output.print_json(facts | ({} if fields["secret"] else {"secret": webhook.secret}))
        return
    click.echo(f"Added webhook {webhook.id} for {webhook.events}.")
    if not fields["format_name"] and webhook.format not in ("json", "template"):
        click.echo(f"Its format is {webhook.format}, as its URL suggests; --format chooses another.")
    if webhook.url != fields["url"]:
        click.echo(f"It is sent to {webhook.url}")
    webhook_options.print_keys(webhook, is_given=bool(fields["secret"]))
    click.echo(f"Try it: {app_command.typed('webhooks test ' + webhook.id)}")


@webhooks.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List the webhooks, how they are doing, and how many deliveries wait or failed in seven days."""
    rows = webhook_status.all_of(db.session(), clock.now())
    if as_json:
        output.print_json([webhook_options.facts(row.webhook) for row in rows])
        return
    failed = bounded_counts.failed_lately(db.session(), Delivery, clock.now())
    ids = row_lookup.shown_ids(Webhook, [row.webhook.id for row in rows])
    output.print_table(
        ("ID", "NAME", "STATE", "WAITING", "FAILED", "EVENTS", "URL"),
        [
            (
                *(ids[row.webhook.id], row.webhook.name, state_words.for_people(row.word)),
                *(row_counts.up_to_limit(row.waiting), failed.counts.get(row.webhook.id, 0)),
                *(row.webhook.events, row.webhook.url),
            )
            for row in rows
        ],
        f"No webhooks yet. Add one: {app_command.typed('webhooks add URL')}",
        cut=("NAME", "EVENTS"),
    )
    row_counts.print_limit(failed)


@webhooks.command("show")
@row_lookup.id_argument
@output.as_json
def show_(id_: str, as_json: bool) -> None:
    """Show a webhook with its secret, and count its deliveries."""
    with writing() as session:
        row = row_lookup.find(Webhook, id_)
        row_changes.note_reveal(session, row)
    if as_json:
        output.print_json(webhook_options.revealed(row))
        return
    state = state_words.for_people(webhook_status.in_short(row, clock.now()))
    counts = row_counts.by_status(Delivery, Delivery.webhook_id == row.id)
    facts = webhook_options.revealed(row) | {"state": state, "deliveries": counts}
    output.print_groups(facts, GROUPS_OF_WEBHOOK)


@webhooks.command()
@row_lookup.id_argument
@click.option(
    "--url", callback=secrets.option, help="Send to this URL from now on, also the deliveries that wait."
)
@click.option("--name", help="The name you give it.")
@fields_of_webhook
@click.option("--no-headers", is_flag=True, help="Remove its own headers.")
@click.option("--no-rate", is_flag=True, help="Remove its rate limit.")
@output.as_json
def update(id_: str, no_headers: bool, no_rate: bool, as_json: bool, **fields: Any) -> None:
    """Change the named settings of a webhook. --event and --header replace the whole list."""
    wanted = output.given(fields)
    if no_headers and "headers" in wanted:
        raise click.UsageError("Give --header or --no-headers: each replaces all headers.")
    if no_headers:
        wanted["headers"] = ()
    if no_rate and "rate" in wanted:
        raise click.UsageError("Give --rate or --no-rate.")
    if no_rate:
        wanted["rate"] = None
    if not wanted:
        raise click.UsageError(f"Say what to change: see {app_command.typed('webhooks update --help')}")
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        outbound_webhooks.update(session, webhook, wanted, app_command.settings())
        facts = webhook_options.facts(webhook)
    output.print_done(f"Updated webhook {webhook.id}.", facts, as_json)
    if not as_json and ("sign_with" in wanted or "signing_key" in wanted):
        webhook_options.print_public_key(webhook)
    if "url" in wanted:
        _warn(webhook.url)


@webhooks.command()
@row_lookup.id_argument
@output.as_json
def enable(id_: str, as_json: bool) -> None:
    """Enable a webhook.

    The next pass sends the deliveries that wait for it, or a listener fetches them.
    """
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        row_changes.enable(session, webhook)
        facts = webhook_options.facts(webhook)
    output.print_done(f"Enabled webhook {webhook.id}.", facts, as_json)


@webhooks.command()
@row_lookup.id_argument
@output.as_json
def disable(id_: str, as_json: bool) -> None:
    """Disable a webhook. Its deliveries wait."""
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        row_changes.disable(session, webhook)
        facts = webhook_options.facts(webhook)
    output.print_done(f"Disabled webhook {webhook.id}.", facts, as_json)


@webhooks.command("rotate-secret")
@row_lookup.id_argument
@secret_option
@secrets.overlap_option(ALSO_SIGNS)
@output.as_json
def rotate_secret(id_: str, secret: str | None, overlap_hours: float, as_json: bool) -> None:
    """Set a new secret and print it.

    For a while both secrets sign, so that no delivery is refused.
    """
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        webhook_signatures.rotate_secret(session, webhook, timedelta(hours=overlap_hours), secret)
        facts = webhook_options.facts(webhook) | ({} if secret else {"secret": webhook.secret})
    secrets.print_new_secret(facts, overlap_hours, ALSO_SIGNS, as_json)


@webhooks.command("rotate-key")
@row_lookup.id_argument
@webhook_options.signing_key_option
@secrets.overlap_option(ALSO_SIGNS, "key")
@output.as_json
def rotate_key(id_: str, signing_key: str | None, overlap_hours: float, as_json: bool) -> None:
    """Set a new key pair and print its public key.

    For a while both keys sign, so that no delivery is refused.
    """
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        webhook_signatures.rotate_key(session, webhook, timedelta(hours=overlap_hours), signing_key)
        facts = webhook_options.facts(webhook)
    secrets.print_new_key(facts, overlap_hours, ALSO_SIGNS, as_json)


@webhooks.command()
@row_lookup.id_argument
@output.as_json
def test(id_: str, as_json: bool) -> None:
    """Queue a `ping` for a webhook.

    The next pass sends it like any other delivery, or a listener fetches it.
    """
    with writing() as session:
        webhook = row_lookup.find(Webhook, id_)
        delivery = outbound_webhooks.ping(session, webhook, app_command.settings())
        facts, hindrance = webhook_shapes.delivery(delivery), webhook_status.hindrance(webhook, clock.now())
    if as_json:
        output.print_json(facts)
        return
    then = hindrance or app_command.next_pass("It goes out by itself at once.", "Send it now")
    click.echo(f"Queued delivery {facts['id']}. {then}")


@webhooks.command()
@row_lookup.id_argument
@question.yes_option
@output.as_json
def delete(id_: str, yes: bool, as_json: bool) -> None:
    """Delete a webhook and all its deliveries.

    Deliveries that wait are lost. To keep them, disable it instead. On a terminal it says what goes, and
    asks.
    """
    webhook = row_lookup.find(Webhook, id_)
    row_id, name = webhook.id, webhook.name
    mine = Delivery.webhook_id == row_id
    question.ask_on_terminal(
        lambda: row_counts.going(Delivery, mine, f"webhook {name}", "delivery", "deliveries"), yes
    )
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = outbound_webhooks.delete(db.engine, row_id)
    done = f"Deleted webhook {row_id} and {counted(count, 'delivery', 'deliveries')}."
    output.print_done(done, {"deleted": [row_id], "deliveries": count}, as_json)


def _warn(url: str) -> None:
    for warning in webhook_urls.warnings(url, app_command.settings()):
        click.echo(f"Warning: {warning}", err=True)
