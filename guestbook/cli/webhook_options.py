"""The options of `webhooks add` and `webhooks update`, and what both print of a webhook."""

from typing import Any

import click

from guestbook.cli import secrets
from guestbook.cli.option_types import Choice, together
from guestbook.lib import signing
from guestbook.outbound import webhook_shapes, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from guestbook.storage.models.webhook import SIGN_WITH, UNSIGNED_FORMATS

secret_option = click.option(
    "--secret",
    callback=secrets.option,
    help="The secret that the receiver has, or - to read it from standard input. By default a new one.",
)
signing_key_option = click.option(
    "--signing-key",
    callback=secrets.option,
    metavar="KEY",
    help="Sign with this private key, whsk_ and base64, whose public half the receiver has; or - to read it "
    "from standard input.",
)
fields_of_webhook = together(
    click.option("--format", "format_name", type=Choice(list(FORMATS)), help="The format of the body."),
    click.option("--template", metavar="TEXT", help="A Jinja template of the body, which must be JSON."),
    click.option(
        "--event", "events", multiple=True, help=f"Send this event (repeatable): {', '.join(EVENTS)}."
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        callback=secrets.headers,
        help="Send this header too (repeatable). A VALUE of - is read from standard input.",
    ),
    click.option(
        "--rate",
        metavar="N/s|N/m",
        help="Begin at most N attempts in any second or minute, such as 30/m. Not for the URL pull:.",
    ),
    click.option(
        "--moderation-links/--no-moderation-links",
        default=None,
        help="Put a link into messages about held comments, with which any reader can moderate them; by "
        f"default for {', '.join(webhooks.FORMATS_WITH_LINKS)}.",
    ),
    click.option(
        "--sign-with",
        type=Choice(SIGN_WITH),
        help="Sign with the secret, with a key pair of Ed25519, or with both; by default with the secret.",
    ),
    signing_key_option,
    click.option(
        "--github-headers/--no-github-headers",
        default=None,
        help="Send X-GitHub-Event and X-GitHub-Delivery too, for receivers written for GitHub.",
    ),
)


def revealed(row: Webhook) -> dict[str, Any]:
    """Return what `show` prints: all that `facts` has, with the secrets and the values of the headers."""
    secret = {"secret": row.secret, "previous_secret": row.previous_secret}
    return facts(row) | {"headers": row.headers} | secret


def facts(row: Webhook) -> dict[str, Any]:
    """Return a webhook as the API does. Nothing in it is secret."""
    return webhook_shapes.webhook(db.session(), row)


def print_keys(row: Webhook, *, is_given: bool) -> None:
    """Print what the receiver verifies with. A secret that was given is not printed again."""
    if not webhooks.is_verified(row):
        is_private = row.format not in UNSIGNED_FORMATS
        click.echo(f"It needs no secret{', but keep its URL like one' if is_private else ''}.")
    elif is_given and signing.is_text(row.secret):
        click.echo("Packages of Standard Webhooks take this secret as whsec_ and the base64 of its text.")
    elif not is_given and row.sign_with != "key":
        click.echo(f"Its secret, with which the receiver verifies: {row.secret}")
    print_public_key(row)


def print_public_key(row: Webhook) -> None:
    """Print the public key, if a key signs."""
    if row.public_key:
        click.echo(f"Its public key, with which the receiver verifies: {row.public_key}")
