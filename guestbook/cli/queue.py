"""The commands for deliveries and for inbound events.

First comes what both have, then the commands for deliveries, then those for inbound events.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

import click
from sqlalchemy import select

from guestbook.background import whole_pass
from guestbook.cli import (
    app_command,
    cron as cron_commands,
    explained_signature,
    options,
    output,
    row_commands,
)
from guestbook.cli.options import WHEN, Choice, Decorator, moment, period_options, together
from guestbook.comments import backfill as backfills
from guestbook.inbound import event_reader, source_json, verify_and_decide
from guestbook.lib import clock, text
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import webhook_json, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import filtered_lists, statistics, webhook_status
from guestbook.queue import deleted_comments, redelivery
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook


@dataclass(frozen=True, kw_only=True)
class QueueKind:
    """Deliveries or inbound events, and the words for them."""

    group: str  # its commands
    owner: type[Any]
    owner_name: str  # The option; with _id it is the column and the filter.
    filters: type[Any]
    facts: Callable[[Any], dict[str, Any]]
    verb: str
    nouns: tuple[str, str]
    all_failed: str  # It completes "all that …".
    done: str  # the same of those that did not fail: "that were …"
    since: str
    erased: str

    def counted(self, number: int) -> str:
        """Return the number with its noun."""
        return text.counted(number, *self.nouns)


DELIVERY_KIND = QueueKind(
    group="deliveries",
    owner=Webhook,
    owner_name="webhook",
    filters=filtered_lists.Deliveries,
    facts=webhook_json.delivery,
    verb="redeliver",
    nouns=("delivery", "deliveries"),
    all_failed="were given up",
    done="delivered",
    since="made",
    erased="the comment was deleted, and nothing earlier about it is sent any more",
)
INBOUND_KIND = QueueKind(
    group="inbox",
    owner=Source,
    owner_name="source",
    filters=filtered_lists.InboundEvents,
    facts=source_json.inbound_event,
    verb="reprocess",
    nouns=("inbound event", "inbound events"),
    all_failed="failed",
    done="processed",
    since="received",
    erased="the comment was deleted for good, and what was sent for it too",
)


def _list_options(kind: QueueKind) -> Decorator:
    """Return a decorator that adds the options of both lists."""
    statuses = kind.filters.statuses()
    stored = "new, processed and failed are those in the tables"
    return together(
        click.option("--status", type=Choice(statuses), help=f"Only those with this status; {stored}."),
        period_options,
        click.option("--text", help="Only those with this in the payload or the last answer."),
        row_commands.limit_option,
    )


def _print_list(kind: QueueKind, columns: Mapping[str, Any], limit: int, **filters: Any) -> None:
    """Print the rows that the options choose. In the column of the owner stands its name."""
    # PostgreSQL refuses a NUL, so text is cleaned like stored text.
    cleaned = {name: text.clean_line(one) if isinstance(one, str) else one for name, one in filters.items()}
    wanted = _filters(kind, **cleaned)
    rows = row_commands.newest(partial(wanted.page, db.session()), limit)
    names = {row.id: row.name for row in db.session.execute(select(kind.owner.id, kind.owner.name))}
    of_owner = attrgetter(f"{kind.owner_name}_id")
    empty = (
        "" if rows or output.is_json() else "\n".join([_none_found(kind, wanted), *_instead(kind, wanted)])
    )
    columns = {**columns, kind.owner_name.upper(): lambda row: names.get(of_owner(row))}
    row_commands.print_rows(rows, kind.facts, columns, empty)


def _none_found(kind: QueueKind, wanted: Any) -> str:
    if wanted == kind.filters():
        return f"No {kind.nouns[1]} yet."
    if wanted.status and wanted == kind.filters(status=wanted.status):
        return f"No {kind.nouns[0]} has the status {_shown(wanted.word)}."
    return f"No such {kind.nouns[0]}."


def _instead(kind: QueueKind, wanted: Any) -> Iterator[str]:
    """Yield what is there where nothing was found, each with the command that lists it."""
    wider, counts = statistics.instead_of(db.session(), wanted)
    owner_id = getattr(wider, f"{kind.owner_name}_id")
    given = f" --{kind.owner_name} {owner_id}" if owner_id else ""
    for name in ("since", "until"):
        given += f" --{name} {clock.to_text(time)}" if (time := getattr(wider, name)) else ""
    if counts:
        yield "There are others:"
    for status, count in counts.items():
        command = app_command.typed(f"{kind.group} list --status {status}{given}")
        yield f"  {output.up_to_limit(count, 'more than')} {_shown(status)}: {command}"


def _shown(status: str) -> str:
    """Return the word of a filter as it is read, not typed."""
    return statistics.WAITING_OR_RETRYING if status == "new" else status.replace("-", " ")


def _status_in_words(row: Delivery | InboundEvent) -> str:
    """Return the status for a table, and whether the row was erased."""
    return f"{row.word}, erased" if row.erased_at else row.word


def _requeue_options(kind: QueueKind) -> Decorator:
    """Return a decorator that adds the options of redeliver or reprocess."""
    those = f"With --failed or --all: only those {kind.since}"
    owner = f"With --failed or --all: only those of one {kind.owner_name}."
    everything = f"All of one {kind.owner_name} since a time, also those that were {kind.done}; it asks."
    return together(
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--failed", is_flag=True, help=f"All that {kind.all_failed}."),
        click.option("--all", "everything", is_flag=True, help=everything),
        click.option(f"--{kind.owner_name}", "owner", metavar="ID", help=owner),
        click.option("--since", callback=moment, metavar="WHEN", help=f"{those} since then {WHEN}."),
        click.option("--until", callback=moment, metavar="WHEN", help=f"{those} before then {WHEN}."),
        click.option("--dry-run", is_flag=True, help="Only print how many it would be."),
        output.yes_option,
    )


def _requeue(kind: QueueKind, *, dry_run: bool, yes: bool, **chosen: Any) -> None:
    """Make the chosen rows due again, or only count them, and print which stay as they are.

    With --all it asks first, and on a terminal before e-mails go out a second time.
    """
    which = _condition(kind, **chosen)
    groups = redelivery.forecast(db.session(), kind.filters.model, which, clock.now())
    due = redelivery.total(groups)
    if chosen["failed"] and not groups:
        _print_none_failed(kind, chosen["owner"], since=chosen["since"], until=chosen["until"])
        return
    if any(group.erased for group in groups) and not due + sum(group.leased for group in groups):
        raise Refused(f"This cannot be done: {kind.erased}.")
    if chosen["everything"] and due and not dry_run and not yes:
        output.say(*([] if output.is_json() else _notes(kind, groups, 0)))
        db.session.rollback()  # Nobody waits in a transaction for an answer.
        verb = f"{kind.verb} them"
        output.ask(f"{kind.verb.title()} {kind.counted(due)}?", "Nothing was changed.", verb)
    elif not dry_run and (again := redelivery.second_mails(groups)):
        output.ask_on_terminal(lambda: again, yes, kind.verb.title())
    count = due if dry_run else redelivery.run(kind.filters.model, which)
    all_pulled = redelivery.are_pulled(groups)
    how = "to a listener" if all_pulled else "with the next pass"
    number, pulled = kind.counted(count), sum(group.count for group in groups if group.pulled)
    output.print_done(
        {"count": count, "groups": [asdict(group) for group in groups]},
        f"Would {kind.verb} {number}." if dry_run else f"Will {kind.verb} {number} {how}.",
        *_notes(kind, groups, 0 if dry_run or all_pulled else pulled),
    )


def _print_none_failed(kind: QueueKind, owner: str | None, **period: Any) -> None:
    wanted = _filters(kind, owner, status="failed", **period)
    instead = [] if output.is_json() else list(_instead(kind, wanted))
    nothing = f"Nothing to {kind.verb}: no {kind.nouns[0]} has the status {_shown(wanted.word)}."
    by_itself = (
        f"What waits goes out by itself. Send one at once: {app_command.typed('deliveries redeliver ID')}"
    )
    hint = kind is DELIVERY_KIND and instead and by_itself
    output.print_done({"count": 0, "groups": []}, nothing, *instead, hint)


def _notes(kind: QueueKind, groups: Sequence[redelivery.RequeueGroup], pulled: int) -> list[str]:
    """Say what is special about some of the rows; `pulled` are for a listener."""
    among, left = "Among them, because", "Left alone, because"
    notes = {
        f"{among} a listener fetches them": pulled,
        f"{among} they follow others about the same comment": sum(group.later for group in groups),
        f"{left} a pass works on them": sum(group.leased for group in groups if not group.pulled),
        f"{left} a listener has it now": sum(group.leased for group in groups if group.pulled),
        f"{left} {kind.erased}": sum(group.erased for group in groups),
    }
    waits = f"is disabled: its {kind.nouns[1]} wait until it is enabled."
    disabled = [text.printable(group.name) for group in groups if group.disabled and group.count]
    said = [f"{note}: {kind.counted(count)}." for note, count in notes.items() if count]
    again = redelivery.second_mails(groups)
    return [
        *said,
        *([again] if again else []),
        *(f"The {kind.owner_name} {name} {waits}" for name in disabled),
    ]


def _condition(
    kind: QueueKind, ids: Sequence[str], failed: bool, everything: bool, owner: str | None, **period: Any
) -> Any:
    """Return the condition for the chosen rows; refuses options that do not go together."""
    name = kind.owner_name
    if bool(ids) + failed + everything != 1:
        raise click.UsageError(f"Give ids, --failed for all that {kind.all_failed}, or --all.")
    if ids and (owner or any(period.values())):
        raise click.UsageError(f"--{name}, --since and --until go with --failed or --all.")
    if everything and not (owner and period["since"]):
        raise click.UsageError(f"--all needs --{name} and --since.")
    if ids:
        return kind.filters.model.id.in_([row_commands.find(kind.filters.model, one).id for one in ids])
    return _filters(kind, owner, status=None if everything else "failed", **period).condition()


def _filters(kind: QueueKind, owner: str | None, **filters: Any) -> Any:
    """Return what selects these rows; refuses an owner that is not there."""
    filters[f"{kind.owner_name}_id"] = None if owner is None else row_commands.find(kind.owner, owner).id
    return kind.filters(**filters)


GROUPS_OF_DELIVERY = {"Result": "status attempts due_at finished_at last_status_code last_error"}
# Only programs read these, in --json; the attempts and the payload follow below.
NOT_SHOWN = ("claims", "claimed_by", "schedule_start", "attempts_made", "payload")
SHOWN_OF_ATTEMPT = ("started_at", "milliseconds", "status_code", "error")


@click.group(cls=app_command.Group)
def deliveries() -> None:
    """See which deliveries were sent, wait or failed, and redeliver them."""


@deliveries.command("list")
@_list_options(DELIVERY_KIND)
@click.option("--webhook", "owner", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=Choice(list(EVENTS)), help="Only those of this event.")
def list_deliveries(**options: Any) -> None:
    """List deliveries, newest first.

    ANSWER is the code of the last answer, or why there was none. Through a pipe it is the whole error.
    """
    is_short, now = output.is_terminal(), clock.now()
    states = {row.id: webhook_status.word(row, now) for row in db.session.scalars(select(Webhook))}
    held = {row_id: word for row_id, word in states.items() if word in ("paused", "disabled")}
    columns = {
        "EVENT": "event",
        "WEBHOOK": "webhook_id",
        "STATUS": _status_in_words,
        "ATTEMPTS": "attempts",
        "DUE": (lambda row: _when_due(row, held.get(row.webhook_id), now)) if is_short else "due_at",
        "ANSWER": lambda row: (
            webhook_status.answer_of(row) if is_short else row.last_error or row.last_status_code
        ),
    }
    _print_list(DELIVERY_KIND, columns, **options)


def _when_due(row: Delivery, held: str | None, now: datetime) -> datetime | str | None:
    """Return when a delivery is sent next; `held` is why none goes to its webhook."""
    if row.due_at is None:
        return None
    return held or ("now" if row.due_at <= now else row.due_at)


@deliveries.command("show")
@row_commands.id_argument
def show_delivery(id_: str) -> None:
    """Show a delivery with all its attempts and answers."""
    row = row_commands.find(Delivery, id_)
    facts = webhook_json.delivery_with_attempts(db.session(), row)
    output.end_with_json(facts)
    webhook = db.session.get_one(Webhook, row.webhook_id)
    shown = facts | {"webhook": webhook.name, "status": row.word} | dict.fromkeys(NOT_SHOWN)
    output.print_groups(shown, GROUPS_OF_DELIVERY)
    for attempt in facts["attempts_made"]:
        heading = f"Attempt {attempt['number']} ({attempt['triggered_by']})"
        output.print_part(heading, {name: attempt[name] for name in SHOWN_OF_ATTEMPT})
        output.print_part("Request headers", attempt["request_headers"])
        output.print_part("Response headers", attempt["response_headers"] or {})
        output.print_text("Response", attempt["response_body"])
    output.print_text("Payload", deleted_comments.DELIVERY_ERASED if row.erased_at else facts["payload"])
    has_failed = row.last_error and row.status != "processed" and not row.erased_at
    if has_failed and webhooks.is_verified(webhook):
        output.say(f"\nSee how it is signed: {app_command.typed(f'deliveries explain {row.id}')}")


deliveries.add_command(explained_signature.explain)


@deliveries.command()
@_requeue_options(DELIVERY_KIND)
def redeliver(**options: Any) -> None:
    """Make deliveries due again.

    The next pass sends them, or a listener fetches them, with the same id and payload. All later ones about
    the same comment to the same webhook follow, so the receiver ends with the newest state. Give ids,
    --failed, or --all for a receiver that lost its data. An e-mail that was sent already goes out a second
    time: on a terminal the command asks first.
    """
    _requeue(DELIVERY_KIND, **options)


@deliveries.command()
@click.argument("webhook", metavar="WEBHOOK")
@click.option("--since", required=True, callback=moment, metavar="WHEN", help=f"Events since then {WHEN}.")
@click.option("--pruned-too", is_flag=True, help="Also events whose old deliveries may have been pruned.")
@click.option("--dry-run", is_flag=True, help="Only print how many it would be, and count them all.")
@output.yes_option
def backfill(webhook: str, since: datetime, pruned_too: bool, dry_run: bool, yes: bool) -> None:
    """Send a webhook the past events that it has not had.

    They are comment.created, comment.published and comment.replied, as far as the webhook wants them. They
    are made from the comments that the book has now, with their present words. So nothing of a deleted
    comment is sent. An event of which the webhook has a delivery is left out; redeliver sends it. The command
    prints how many events there are, and asks.
    """
    row = row_commands.find(Webhook, webhook)
    rules = backfills.BackfillRules(since, app_command.settings(), pruned_too)
    when = "A listener fetches what waits." if row.is_pulled else "Sending begins with the next pass."
    if row.disabled_at:
        when = "Sending begins when the webhook is enabled."
    webhook_id, name, sent = row.id, row.name, 0  # The count ends its transaction.
    to_count = rules if dry_run else replace(rules, most_deliveries=statistics.COUNT_LIMIT + 1)
    found = backfills.forecast(webhook_id, to_count)
    if not output.is_json():
        output.say(*_described(found))
    if found.deliveries and not dry_run:
        if not yes:
            number = "all of them" if found.next_after else counted(found.deliveries, "event")
            output.ask(f"Send {number} to {name}?", "Nothing was sent.", "send them")
        with output.show_progress("Comments", backfills.comments_in_book()) as step:
            sent = backfills.run(webhook_id, replace(rules, after_look=step)).deliveries
    done = found.deliveries and not dry_run and f"Made {DELIVERY_KIND.counted(sent)}. {when}"
    facts = {"webhook_id": webhook_id, "since": clock.to_text(since), "comments": found.comments}
    numbers = {"events": dict(found.events), "there_already": found.present, "maybe_pruned": found.pruned}
    output.print_done(facts | numbers | {"more": found.next_after is not None, "created": sent}, done)


def _described(found: backfills.BackfillReport) -> tuple[object, ...]:
    if found.next_after:  # It has counted only a part of the book.
        return (f"There are more than {statistics.COUNT_LIMIT:,} events that the webhook has not had.",)
    about = f"{counted(found.deliveries, 'event')} about {counted(found.comments, 'comment')}"
    by_event = ", ".join(f"{number:,} {event}" for event, number in found.events.items())
    pruned = f"because their deliveries to it may have been pruned: {counted(found.pruned, 'event')}."
    return (
        f"The webhook has not had {about}: {by_event}." if found.deliveries else "There is nothing to send.",
        found.present and f"Left out, because it has deliveries of them: {counted(found.present, 'event')}.",
        found.pruned and f"Left out, {pruned}\n--pruned-too sends them as well.",
    )


GROUPS_OF_EVENT = {"Result": "status attempts due_at processed_at error note comment_id"}
NOT_SHOWN_OF_EVENT = ("claims", "claimed_by", "unproven_bytes")  # Only --json has these.


@click.group(cls=app_command.Group)
def inbox() -> None:
    """See what sources have sent and what was done with it, and reprocess it."""


@inbox.command(cls=app_command.AppCommand)
@options.max_seconds("Start")
@options.verbose_option("Print what happens to each event.")
def process(max_seconds: float) -> None:
    """Process due inbound events and do nothing else. It prints nothing when all is well."""
    cron_commands.run(whole_pass.Options(max_seconds, outbox=False, housekeeping=False))


@inbox.command("list")
@_list_options(INBOUND_KIND)
@click.option("--source", "owner", metavar="ID", help="Only those of one source.")
@click.option("--event", help="Only those of this event. One such as issues means issues.opened too.")
@click.option("--sender", help="Only those with this text in their sender.")
@click.option("--external-id", help="Only those to which the sender gave this id.")
def list_events(**options: Any) -> None:
    """List inbound events, newest first."""
    columns = {
        "RECEIVED": "received_at",
        "SOURCE": "source_id",
        "EVENT": "event",
        "SENDER": "sender",
        "STATUS": _status_in_words,
        "RESULT": lambda row: row.error or row.note,
    }
    _print_list(INBOUND_KIND, columns, **options)


@inbox.command("show")
@row_commands.id_argument
def show_event(id_: str) -> None:
    """Show an inbound event: what arrived, how it was verified, what was done with it."""
    row = row_commands.find(InboundEvent, id_)
    source = db.session.get_one(Source, row.source_id)
    output.end_with_json(source_json.inbound_event_in_full(row, source, app_command.settings()))
    verdict = verify_and_decide.verify(row, source, app_command.settings().secret_keys)
    facts = source_json.inbound_event(row) | {"source": source.name, "status": row.word}
    facts |= dict.fromkeys(NOT_SHOWN_OF_EVENT)
    output.print_groups(facts, GROUPS_OF_EVENT)
    output.print_part("Headers", row.shown_headers)
    output.print_part(f"Verification: {verdict.sentence}", {step.name: step.value for step in verdict.steps})
    view = event_reader.views(row.headers, row.body)[0]
    output.print_text(f"Payload ({view.kind}, {len(row.body):,} bytes)", view.text or "-")
    output.say(not view.is_whole and "… (--json shows all of it)")


@inbox.command()
@_requeue_options(INBOUND_KIND)
def reprocess(**options: Any) -> None:
    """Make inbound events due again.

    The next pass processes them with the settings that their source has then. Give ids, --failed or --all.
    """
    _requeue(INBOUND_KIND, **options)
