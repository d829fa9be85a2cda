"""The commands for webhooks; and `trigger`, which stores example deliveries."""

import sys
from functools import partial
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, options, output, row_commands
from guestbook.cli.row_commands import Noun
from guestbook.lib import clock, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted, for_people
from guestbook.outbound import (
    event_publisher,
    receiver_check,
    receiver_links as links,
    webhook_json,
    webhook_urls,
    webhooks as outbound_webhooks,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS
from guestbook.outbound.webhook_signatures import rotate_key, rotate_secret
from guestbook.queries import webhook_status
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, ReceiverLink, Webhook
from guestbook.storage.models.delivery import UNSIGNED_FORMATS

GROUPS_OF_WEBHOOK = {
    "Messages": "events event_condition format version template headers rate next_slot_at "
    "moderation_links_since github_headers_since",
    "Signatures": "sign_with secret previous_secret previous_secret_expires_at public_key "
    "previous_public_key previous_signing_key_expires_at",
    "Failures": "disabled_at disabled_reason paused_until failing_since failures_in_a_row "
    "unreachable_in_a_row",
}
PUBLIC_KEY = "Its public key, with which the receiver verifies: {}"
SEND_EVENTS = f"Send this event (repeatable): {', '.join(EVENTS)}."
_option = partial(options.of_field, WEBHOOK_FIELDS)
secret_option = _option("secret", callback=options.secret)
signing_key_option = _option("signing_key", callback=options.secret, metavar="KEY")
fields_of_webhook = options.together(
    _option(
        "name",
        help="The name you give it; a new webhook without one gets its host with the port, or the path too.",
    ),
    _option("format"),
    _option("version"),
    _option("template", metavar="TEXT"),
    _option("events", "--event", multiple=True, metavar="EVENT", help=SEND_EVENTS),
    _option("event_condition", "--condition", metavar="TEXT"),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        callback=options.header_lines,
        help="Send this header too (repeatable). A VALUE of - is read from standard input.",
    ),
    _option("rate", metavar="N/s|N/m"),
    _option("moderation_links"),
    _option("sign_with"),
    signing_key_option,
    _option("github_headers"),
)


@click.group(cls=app_command.Group)
def webhooks() -> None:
    """Manage webhooks: URLs that get the book's events."""


@webhooks.command()
@click.argument("url", callback=options.secret, is_eager=True)
@fields_of_webhook
@secret_option
@click.option("--disabled", is_flag=True, help="Send nothing yet; deliveries wait until you enable it.")
def add(disabled: bool, **fields: Any) -> None:
    """Send events to URL, and print its secret: a new one by default.

    With - the URL is read from standard input: the URL of a chat service works like a password. If more is
    read there, the URL is the first line. The webhook gets comment.created unless you name other events. Its
    format is that of a known chat service, or json.
    """
    with writing() as session:
        row = outbound_webhooks.add(session, output.given(fields), app_command.settings(), disabled=disabled)
        facts = _facts(row)
    _warn(row.url)
    is_guessed = not fields["format"] and row.format not in ("json", "template")
    output.print_done(
        facts | ({} if fields["secret"] else {"secret": row.secret}),
        f"Added webhook {row.id} for {row.events}.",
        is_guessed and f"Its format is {row.format}, as its URL suggests; --format chooses another.",
        row.url != fields["url"] and f"It is sent to {row.url}",
        _secret_in_words(row, is_given=bool(fields["secret"])),
        row.public_key and PUBLIC_KEY.format(row.public_key),
        f"Try it: {app_command.typed('webhooks test ' + row.id)}",
    )


@webhooks.command()
@row_commands.id_argument
@click.option(
    "--url", callback=options.secret, help="Send to this URL from now on, also the deliveries that wait."
)
@fields_of_webhook
@click.option("--no-headers", is_flag=True, help="Remove its own headers.")
@click.option("--no-rate", is_flag=True, help="Remove its rate limit.")
def update(id_: str, no_headers: bool, no_rate: bool, **fields: Any) -> None:
    """Change the named settings of a webhook. --event and --header replace the whole list."""
    wanted = output.given(fields)
    if no_headers and "headers" in wanted:
        raise click.UsageError("Give --header or --no-headers: each replaces all headers.")
    if no_rate and "rate" in wanted:
        raise click.UsageError("Give --rate or --no-rate.")
    wanted |= ({"headers": ()} if no_headers else {}) | ({"rate": None} if no_rate else {})
    if not wanted:
        raise click.UsageError(f"Say what to change: see {app_command.typed('webhooks update --help')}")
    with writing() as session:
        webhook = row_commands.find(Webhook, id_)
        outbound_webhooks.update(session, webhook, wanted, app_command.settings())
        facts = _facts(webhook)
    has_key = webhook.public_key and not wanted.keys().isdisjoint(("sign_with", "signing_key"))
    key = has_key and PUBLIC_KEY.format(webhook.public_key)
    output.print_done(facts, f"Updated webhook {webhook.id}.", key)
    if "url" in wanted:
        _warn(webhook.url)


@webhooks.command()
@row_commands.id_argument
def test(id_: str) -> None:
    """Queue a `ping` for a webhook.

    The next pass sends it like any other delivery, or a listener fetches it.
    """
    with writing() as session:
        webhook = row_commands.find(Webhook, id_)
        delivery = outbound_webhooks.store_sample(session, webhook, app_command.settings())
        facts, hindrance = webhook_json.delivery(delivery), webhook_status.hindrance(webhook, clock.now())
    then = hindrance or app_command.next_pass("It goes out by itself at once.", "Send it now")
    output.print_done(facts, f"Queued delivery {facts['id']}. {then}")


SECRET_TO_CHECK = "The secret that the receiver at a new URL has already; without it a new one is printed."


@webhooks.command()
@click.argument("id_", metavar="NAME_OR_URL")
@_option("secret", callback=options.secret, help=SECRET_TO_CHECK)
def check(id_: str, secret: str | None) -> None:
    """Check the receiver of a webhook, or of a URL that is none yet. Exit with 1 if it has a fault.

    Give the name or the id of a webhook, or any URL. Its receiver gets good requests, which it should accept,
    and old or forged ones, which it should refuse. A table shows what it did. Each request has the header
    X-Guestbook-Test. Nothing is stored in the book.
    """
    webhook = _to_check(id_, secret)
    checked = receiver_check.of_webhook(db.session(), webhook, app_command.settings())
    makes_secret = webhook not in db.session and secret is None
    db.session.rollback()  # No transaction is open during the requests.
    if makes_secret:
        click.echo(f"A new secret, with which the receiver verifies: {webhook.secret}", err=output.is_json())
        output.wait_on_terminal("Give it to the receiver, then press Enter.")
    wanted, results = receiver_check.examinations_of(checked), list[dict[str, Any]]()
    with output.show_progress("Checking", len(wanted)) as move:
        for result in receiver_check.examine(checked):
            results.append(receiver_check.shape(result))
            move(1)
    if output.is_json():
        output.print_json(results)
    else:
        _print_check(results, is_cut=len(results) < len(wanted))
    if any(one["fault"] for one in results):
        sys.exit(1)


def _to_check(given: str, secret: str | None) -> Webhook:
    """Return the webhook that is meant, or one of this URL that is not stored; raises Refused."""
    if "://" in given and not row_commands.matching(Webhook, given):
        fields = output.given({"url": given, "secret": secret})
        return outbound_webhooks.made(db.session(), fields, app_command.settings())[0]
    webhook = row_commands.find(Webhook, given)
    if secret is not None:
        raise click.ClickException(
            "This is a webhook of the book, which knows its secret. Leave out --secret."
        )
    return webhook


def _print_check(results: list[dict[str, Any]], *, is_cut: bool) -> None:
    faults = [one for one in results if one["fault"]]
    columns = "check", "sent", "answer", "should_be"
    rows = [(*map(one.get, columns), "fault" if one["fault"] else "good") for one in results]
    output.print_table(("CHECK", "SENT", "ANSWER", "SHOULD BE", "VERDICT"), rows, "")
    for one in faults:
        click.echo(f"\n{one['check']}: {one['fault']}\n  See {one['guide']}")
    ending = " The receiver takes nothing any more, so the rest was left out." if is_cut else ""
    click.echo(f"\n{counted(len(faults), 'fault')}.{ending}")


def _warn(url: str) -> None:
    for warning in webhook_urls.warnings(url, app_command.settings()):
        click.echo(f"Warning: {warning}", err=True)


def _facts(row: Webhook) -> dict[str, Any]:
    """Return a webhook as the API does. Nothing in it is secret."""
    return webhook_json.webhook(db.session(), row)


def _secret_in_words(row: Webhook, *, is_given: bool) -> str | None:
    """Return the secret with which the receiver verifies. One that was given is not printed again."""
    if not outbound_webhooks.is_verified(row):
        is_private = row.format not in UNSIGNED_FORMATS
        return f"It needs no secret{', but keep its URL like one' if is_private else ''}."
    if is_given and signatures.is_text(row.secret):
        return "Packages of Standard Webhooks take this secret as whsec_ and the base64 of its text."
    is_shown = not is_given and row.sign_with != "key"
    return f"Its secret, with which the receiver verifies: {row.secret}" if is_shown else None


WORDS = ("delivery", "deliveries"), ("to send", "given up")
WEBHOOK = Noun(webhooks, Webhook, "webhook", _facts, Delivery, *WORDS)
ENABLE = """Enable a webhook.

The next pass sends the deliveries that wait for it, or a listener fetches them."""
NEW_SECRET = """Set a new secret and print it.

For a while both secrets sign, so that no delivery is refused."""
NEW_KEY = """Set a new key pair and print its public key.

For a while both keys sign, so that no delivery is refused."""
row_commands.add_list(
    WEBHOOK,
    lambda session: webhook_status.all_of(session, clock.now()),
    {"EVENTS": "webhook.events", "URL": "webhook.url"},
    "URL",
)
row_commands.add_show(
    WEBHOOK,
    ("headers", "secret", "previous_secret"),
    lambda row: for_people(webhook_status.in_short(row, clock.now())),
    GROUPS_OF_WEBHOOK,
)
row_commands.add_switch(WEBHOOK, "enable", ENABLE)
row_commands.add_switch(WEBHOOK, "disable", "Disable a webhook. Its deliveries wait.")
row_commands.add_rotation(WEBHOOK, "secret", rotate_secret, secret_option, "signs", NEW_SECRET)
row_commands.add_rotation(WEBHOOK, "key", rotate_key, signing_key_option, "signs", NEW_KEY)
DELETE = """Delete a webhook and all its deliveries.

Deliveries that wait are lost. To keep them, disable it instead. On a terminal it says what goes, and asks."""
row_commands.add_deletion(WEBHOOK, DELETE)


@click.command(cls=app_command.AppCommand, epilog=f"Events: {', '.join(EVENTS)}.")
@click.argument("event", type=options.Choice(list(EVENTS)), metavar="EVENT")
@click.option("--webhook", metavar="ID", help="Send it to this webhook alone, whatever events it wants.")
@output.json_option
def trigger(event: str, webhook: str | None) -> None:
    """Send an example of EVENT to every webhook that wants it.

    The example goes through the queue like a real event: the next pass sends it, or a listener fetches it. No
    comment is written. Its comment has the id 00…01, so that receivers can tell it from a real one.
    """
    with writing() as session:
        rows = session.scalars(select(Webhook)) if webhook is None else [row_commands.find(Webhook, webhook)]
        wanted = [row for row in rows if webhook or event in row.events.split()]
        if not wanted:
            raise Refused(f"No webhook wants {event}. Name one with --webhook.")
        settings = app_command.settings()
        sample = EVENTS[event].sample_data(settings.base_url)
        event_id = event_publisher.send(session.connection(), event, sample, wanted, settings)
        pulled = sum(row.is_pulled for row in wanted)
    made = db.session.scalars(select(Delivery).where(Delivery.event_id == event_id).order_by(Delivery.id))
    ways = {"sent with the next pass": len(wanted) - pulled, "fetched by a listener": pulled}
    said = [f"{counted(ways[how], *WORDS[0])} of {event} will be {how}." for how in ways if ways[how]]
    output.print_done(list(map(webhook_json.delivery, made)), *said)


@click.group("receiver-links", cls=app_command.Group)
def receiver_links() -> None:
    """Manage links with which a webhook's receiver opens its page, without a login."""


@receiver_links.command("add")
@click.argument("webhook")
@click.option("--name", help="The person or team that gets the link, by default the webhook's name.")
@options.with_default(
    "--expires",
    metavar="WHEN",
    default=links.DEFAULT_LIFETIME,
    help="When it stops working, such as 7d or 2027-01-31; after a year at most.",
)
def add_link(webhook: str, name: str | None, expires: str) -> None:
    """Add a link to the page of WEBHOOK's receiver, and print it.

    Anyone with the link can see and redeliver the webhook's deliveries, send tests and rotate its secret or
    key.
    """
    with writing() as session:
        row = row_commands.find(Webhook, webhook)
        link = links.add(session, row, name=name, expires=expires)
        address = links.url(link, app_command.settings())
        facts = webhook_json.receiver_link(link) | {"url": address}
    done = f"Added link {facts['id']}. It works until {facts['expires_at']} and is shown only once."
    output.print_done(facts, done, address)


@receiver_links.command("list")
@click.argument("webhook")
def list_links(webhook: str) -> None:
    """List the links to the page of WEBHOOK's receiver. The list never shows the links themselves."""
    rows = links.of_webhook(db.session(), row_commands.find(Webhook, webhook).id)
    empty = f"No links yet. Add one: {app_command.typed('receiver-links add WEBHOOK')}"
    columns: dict[str, Any] = {"STATE": lambda row: row.state(clock.now()), "ADDED": "created_at"}
    columns |= {"LAST USED": "last_used_at", "EXPIRES": "expires_at", "NAME": "name"}
    row_commands.print_rows(rows, webhook_json.receiver_link, columns, empty)


LINK = Noun(receiver_links, ReceiverLink, "link", webhook_json.receiver_link)
REVOKE = """Revoke a link. It stops working at once, also where its page is open.

On a terminal it says when the link was last used, and asks."""
row_commands.add_revocation(LINK, links.revoke, REVOKE)
