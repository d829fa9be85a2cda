"""The options of the commands for sources."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from guestbook.cli import secrets
from guestbook.cli.option_types import Choice, together
from guestbook.inbound import source_fields
from guestbook.inbound.scheme_fields import LONGEST_TOLERANCE
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib.verification.signature_headers import TOLERANCE
from guestbook.lib.verification.signature_scheme import SIGNATURE_ENCODINGS, SIGNATURE_HASHES, SIGNED_CONTENTS
from guestbook.lib.verification.verify_signature import TOKEN_HEADER
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, VERIFY

IN_FULL = "Whether forwarded events have payloads above 14 kB too, up to 1 MB."
OLD_NAME = "guestbook.sources.relay"  # key in click's context for the value of the option's old name
F = TypeVar("F", bound=Callable[..., Any])
secret_option = click.option(
    "--secret",
    callback=secrets.option,
    help="The secret that the sender shows, or - to read it from standard input. By default a new one.",
)
fields_of_source = together(
    click.option(
        "--preset",
        type=Choice(tuple(SENDER_PRESETS)),
        help="A known sender: sets --verify and how it signs. Other options override that.",
    ),
    click.option("--verify", type=Choice(VERIFY), help="How its webhooks are verified."),
    secret_option,
    click.option(
        "--header",
        metavar="NAME",
        help=f"The header with the signature, or with the token: {TOKEN_HEADER} by default.",
    ),
    click.option("--hash", type=Choice(SIGNATURE_HASHES), help="The hash of hmac, sha256 by default."),
    click.option(
        "--encoding",
        type=Choice(SIGNATURE_ENCODINGS),
        help="How the signature of hmac and ed25519 is written, hex by default.",
    ),
    click.option("--prefix", metavar="TEXT", help="The text before the signature, such as sha256=."),
    click.option(
        "--timestamp-header", metavar="NAME", help="The header with the signed time, if there is one."
    ),
    click.option(
        "--tolerance",
        type=click.IntRange(1, LONGEST_TOLERANCE),
        metavar="SECONDS",
        help=f"How far the signed time may be from the receipt, {TOLERANCE} by default.",
    ),
    click.option(
        "--signed-content",
        "content",
        type=Choice(SIGNED_CONTENTS),
        help="The content that hmac and ed25519 sign, {body} by default.",
    ),
    click.option(
        "--action",
        type=Choice(ACTIONS),
        help="What to do with its events: log keeps them, comment signs the book, forward notifies webhooks.",
    ),
    click.option(
        "--template",
        metavar="TEXT",
        help=f"A Jinja template of the comment, or the name of a ready-made one: {', '.join(PRESETS)}.",
    ),
    click.option(
        "--budget",
        "budget_mb",
        type=click.IntRange(source_fields.LEAST_MB, source_fields.MOST_MB),
        metavar="MB",
        help=f"Megabytes for events that are not verified yet, {BUDGET_MB} by default.",
    ),
)


def notify(name: str, old_name: str, help_text: str) -> Callable[[F], F]:
    """Return --notify-webhooks with its old name --relay, which still works."""
    return together(
        click.option(name, "relayed", is_flag=True, default=None, callback=_new_name, help=help_text),
        click.option(
            old_name,
            is_flag=True,
            default=None,
            hidden=True,
            help="The old name of --notify-webhooks.",
            expose_value=False,
            is_eager=True,
            callback=_old_name,
        ),
    )


def _old_name(context: click.Context, _param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.meta[OLD_NAME] = value
        click.echo("--relay is deprecated: the option is called --notify-webhooks now.", err=True)


def _new_name(context: click.Context, _param: click.Parameter, value: bool | None) -> bool | None:
    old: bool | None = context.meta.get(OLD_NAME)
    return old if value is None else value
