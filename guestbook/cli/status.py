"""The command that says how the book is doing."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import func, select

from guestbook.background.doctor import DoctorFinding, State, examination
from guestbook.cli import app_command, output
from guestbook.comments.spam import spam_report
from guestbook.lib import VERSION, clock
from guestbook.lib.text import counted, printable
from guestbook.queries import cron_status, filtered_lists, statistics, webhook_status
from guestbook.queries.cron_status import CronStatus
from guestbook.queries.webhook_status import WebhookStatus
from guestbook.settings import installation
from guestbook.storage import engines, writable_check
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, InboundEvent, Pass, Source
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.delivery import QUEUE_STATUSES

MOST_NAMED = 20  # webhooks that fail


@click.command(cls=app_command.AppCommand)
@output.json_option
def status() -> None:
    """Show whether cron comes, what waits and what fails. Exit with 1 if the book is not healthy.

    It is healthy if cron comes, the database can be written and no webhook fails. A webhook that you have
    disabled does not count. A new book ends with 0 until something has waited for 15 minutes for the first
    pass. Counting stops at 10,000, except with --json.
    """
    session, now, read = db.session(), clock.now(), app_command.settings()
    cron_status.require_columns(session)
    why_not = writable_check.why_not(db.engine)
    cron = cron_status.in_words(session, now, after_requests=read.send_after_requests)
    failing = webhook_status.failing_ones(session, now)
    is_well = not why_not and not failing and cron.word in cron_status.GOOD_WORDS
    is_new = cron.word == "never" and cron_status.read(session, now).is_well
    facts = _facts(now, to_the_end=output.is_json()) | {"can be written": not why_not, "well": is_well}
    if output.is_json():
        facts["webhooks that fail"] = list(map(_failing_shape, failing))
        output.print_json({name.replace(" ", "_"): value for name, value in facts.items()})
    else:
        _print_facts(facts)
        _say(cron, why_not, failing)
    if why_not or failing or not (is_well or is_new):
        sys.exit(1)


def _print_facts(facts: dict[str, Any]) -> None:
    words: dict[str, Any] = {
        "deliveries": statistics.by_word(db.session(), Delivery),
        "inbound events": statistics.by_word(db.session(), InboundEvent),
        "healthy": facts.pop("well"),
    }
    output.print_fields({name: _in_words(value) for name, value in (facts | words).items()})


def _say(cron: CronStatus, why_not: str | None, failing: Sequence[WebhookStatus]) -> None:
    crontab_line = installation.crontab_line(app_command.settings().data_dir)
    line = f"\n\n    {crontab_line}" if cron.has_line else ""
    named = [f"Webhook {printable(one.webhook.name)}: {one.sentence}" for one in failing[:MOST_NAMED]]
    more = len(failing) - len(named)
    output.say(
        why_not and f"\nNothing can be stored now: {printable(why_not)}. So nothing is sent.",
        f"\n{cron.sentence}",
        cron.advice and f"{cron.advice}{line}",
        named and "\n" + "\n".join(named),
        more > 0 and f"{counted(more, 'more webhook')} {'fails' if more == 1 else 'fail'}.",
        failing and f"See why: {app_command.typed('doctor')}",
    )


def _failing_shape(one: WebhookStatus) -> dict[str, Any]:
    row = one.webhook
    return {
        "id": row.id,
        "name": row.name,
        "state": one.word,
        "waiting": one.waiting,
        "sentence": one.sentence,
    }


def _facts(now: datetime, *, to_the_end: bool) -> dict[str, Any]:
    last = db.session.scalars(select(Pass).order_by(Pass.started_at.desc()).limit(1)).first()
    read, session = app_command.settings(), db.session()
    states = webhook_status.count_states(session, now)
    state, held_since = cron_status.read(session, now), filtered_lists.oldest_waiting_comment(session)
    spam = spam_report.read(session, read.secret_key, now)
    return {
        "version": VERSION,
        "data folder": str(read.data_dir),
        "database": db.engine.url.render_as_string(hide_password=True),
        "journal mode": engines.journal_mode(db.engine),
        "comments": _counts(Comment, COMMENT_STATUSES, to_the_end),
        "oldest held seconds": held_since and round((now - held_since).total_seconds()),
        "refused comments in 30 days": {one.reason: one.number for one in spam.refused},
        "held by a flood until": clock.to_text(spam.held_until) if spam.held_until else None,
        "webhooks": states.total(),
        "failing webhooks": states["failing"],
        "disabled webhooks": states["disabled"],
        "paused webhooks": states["paused"],
        "webhooks not tried yet": states[webhook_status.NOT_TRIED],
        "deliveries": _counts(Delivery, QUEUE_STATUSES, to_the_end),
        "sources": session.query(Source).count(),
        "inbound events": _counts(InboundEvent, QUEUE_STATUSES, to_the_end),
        "oldest due seconds": None if state.oldest_due_age is None else round(state.oldest_due_age),
        "last pass": clock.to_text(last.started_at) if last else None,
        "last pass did": last and cron_status.what_pass_did(last, now),
    }


def _counts(model: type[statistics.M], statuses: Iterable[str], to_the_end: bool) -> dict[str, int]:
    """Count by status; stop after `statistics.COUNT_LIMIT` if not to the end, which may take seconds."""
    if to_the_end:
        rows = db.session.execute(select(model.status, func.count()).group_by(model.status))
        return {name: count for name, count in rows}  # noqa: C416  a Result is no mapping
    some = {name: statistics.count_some(db.session(), model.status == name, model) for name in statuses}
    return {name: count for name, count in some.items() if count}


def _in_words(value: Any) -> Any:
    if isinstance(value, dict):
        return output.counts(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


INDENT = " " * 9


@click.command(cls=app_command.AnyVersionCommand)
@output.json_option
def doctor() -> None:
    """Find out why something does not work, and say what to do. Exit with 1 if there is a problem.

    It looks at the data folder, the database, cron, the webhooks, the address of the book and the limits of
    this host. It also works when the database does not, and it changes nothing in the book.
    """
    findings = examination.examine(app_command.settings())
    output.print_done(examination.shape(findings), *_in_lines(findings))
    if examination.worst(findings) is State.PROBLEM:
        sys.exit(1)


def _in_lines(findings: list[DoctorFinding]) -> Iterator[str]:
    for finding in findings:
        label = finding.state.value.ljust(len(INDENT))
        yield f"{label}{printable(finding.subject)}: {printable(finding.sentence)}"
        if finding.advice:
            yield f"{INDENT}What to do: {printable(finding.advice)}"
        if finding.command:
            yield f"\n{INDENT}    {printable(finding.command)}\n"
    counts = Counter(finding.state for finding in findings)
    problems, warnings = counted(counts[State.PROBLEM], "problem"), counted(counts[State.WARNING], "warning")
    yield f"\n{problems} and {warnings}."
