"""The commands for links to the page of a webhook's receiver."""

import click

from guestbook.cli import app_command, output, row_lookup
from guestbook.lib import clock
from guestbook.outbound import receiver_links as links
from guestbook.outbound import webhook_shapes
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReceiverLink, Webhook


@click.group("receiver-links", cls=app_command.Group)
def receiver_links() -> None:
    """Manage links with which a webhook's receiver opens its page, without a login."""


@receiver_links.command()
@click.argument("webhook")
@click.option("--name", help="The person or team that gets the link, by default the webhook's name.")
@click.option(
    "--expires",
    metavar="WHEN",
    default=links.DEFAULT_LIFETIME,
    show_default=True,
    help="When it stops working, such as 7d or 2027-01-31; after a year at most.",
)
@output.as_json
def add(webhook: str, name: str | None, expires: str, as_json: bool) -> None:
    """Add a link to the page of WEBHOOK's receiver, and print it.

    Anyone with the link can see and redeliver the webhook's deliveries, send tests and rotate its secret or
    key.
    """
    with writing() as session:
        row = row_lookup.find(Webhook, webhook)
        link = links.add(session, row, name=name, expires=expires)
        address = links.url(link, app_command.settings())
        facts = webhook_shapes.receiver_link(link) | {"url": address}
    if as_json:
        output.print_json(facts)
        return
    click.echo(
        f"Added link {facts['id']}. It works until {facts['expires_at']} and is shown only once.\n{address}"
    )


@receiver_links.command("list")
@click.argument("webhook")
@output.as_json
def list_(webhook: str, as_json: bool) -> None:
    """List the links to the page of WEBHOOK's receiver. The list never shows the links themselves."""
    rows = links.of_webhook(db.session(), row_lookup.find(Webhook, webhook).id)
    if as_json:
        output.print_json([webhook_shapes.receiver_link(row) for row in rows])
        return
    ids = row_lookup.shown_ids(ReceiverLink, [row.id for row in rows])
    output.print_table(
        ("ID", "STATE", "ADDED", "LAST USED", "EXPIRES", "NAME"),
        [
            (ids[row.id], row.state(clock.now()), row.created_at, row.last_used_at, row.expires_at, row.name)
            for row in rows
        ],
        f"No links yet. Add one: {app_command.typed('receiver-links add WEBHOOK')}",
    )


@receiver_links.command()
@row_lookup.id_argument
@output.as_json
def revoke(id_: str, as_json: bool) -> None:
    """Revoke a link. It stops working at once, also where its page is open."""
    with writing() as session:
        link = row_lookup.find(ReceiverLink, id_)
        row_id = link.id
        links.revoke(session, link)
    output.print_done(f"Revoked link {row_id}.", {"revoked": [row_id]}, as_json)
