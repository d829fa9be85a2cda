"""The command `deliveries explain`: it prints the steps of the admin page, in its words."""

from typing import Any

import click
from sqlalchemy.orm import Session

from guestbook.cli import app_command, output, row_commands
from guestbook.cli.options import Choice
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.lib.text import printable
from guestbook.outbound import signature_explanation, webhooks
from guestbook.outbound.signature_explanation import Explanation, Sentence, SignatureStep
from guestbook.queue import deleted_comments
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook

PROGRAM = "Print only a program in this language that verifies the delivery."
ONLY_KEY = "Only a key signs this delivery. The programs verify with the secret."


@click.command(cls=app_command.NounCommand)
@row_commands.id_argument
@click.option(
    "--attempt", "number", type=click.IntRange(1), metavar="NUMBER", help="By default the last one."
)
@click.option("--program", "language", type=Choice(list(signature_explanation.LANGUAGES)), help=PROGRAM)
def explain(id_: str, number: int | None, language: str | None) -> None:
    """Explain the signature of a delivery step by step, as its page does.

    The receiver takes the same steps and compares the result. No secret is shown.
    """
    row, session = row_commands.find(Delivery, id_), db.session()
    attempt = webhooks.last_attempt(session, row)
    if number is not None and (attempt := session.get(Attempt, (row.id, number))) is None:
        raise Refused(f"This delivery has no attempt {number}.")
    explained = _explained(session, row, attempt)
    if not language:
        _print(row, attempt, explained)
    elif not explained.signatures:
        raise Refused(ONLY_KEY)
    else:
        click.echo(next(one.text for one in explained.programs if one.name == language), nl=False)


def _explained(session: Session, row: Delivery, attempt: Attempt | None) -> Explanation:
    if row.erased_at:
        raise Refused(deleted_comments.DELIVERY_ERASED)
    webhook = session.get_one(Webhook, row.webhook_id)
    explained = signature_explanation.of(row, webhook, attempt, clock.now())
    if explained is None:
        rotate = app_command.typed(f"webhooks rotate-secret {webhook.id}")
        raise Refused(f"{signature_explanation.UNUSABLE} Rotate it: {rotate}")
    return explained


def _print(row: Delivery, attempt: Attempt | None, explained: Explanation) -> None:
    output.end_with_json(_facts(row, attempt, explained))
    output.say(_with_time(signature_explanation.introduction(attempt)), explained.problem)
    output.say(explained.rotation and _with_time(explained.rotation))
    for place, step in enumerate(explained.steps, 1):
        _print_step(step, f"{place}. ")
    if explained.signatures:
        _print_step(explained.for_github)
        program = app_command.typed(f"deliveries explain {row.id} --program python")
        output.say(f"\nA program that checks it: {program}")


def _facts(row: Delivery, attempt: Attempt | None, explained: Explanation) -> dict[str, Any]:
    return {
        "delivery_id": row.id,
        "attempt": attempt and attempt.number,
        "event_id": explained.event_id,
        "timestamp": explained.timestamp,
        "payload": explained.body.decode(errors="replace"),
        "webhook_signature": explained.header,
        "x_hub_signature_256": explained.hub or None,
        "public_keys": [public_key for _, public_key in explained.key_signatures],
    }


def _print_step(step: SignatureStep, number: str = "") -> None:
    output.print_heading(f"{number}{step.title}")
    if step.facts:
        output.print_fields(dict(step.facts))
    for hint, value in step.shown:
        output.say(hint, *map(printable, value.splitlines()))


def _with_time(sentence: Sentence) -> str:
    return sentence.text.format(time=sentence.time and clock.to_text(sentence.time))
