"""The command that says how the book is doing."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click
from sqlalchemy import func, select

from guestbook.background.doctor import DoctorFinding, State, examination
from guestbook.cli import app_command, output
from guestbook.comments.spam import spam_report
from guestbook.lib import VERSION, clock
from guestbook.lib.text import counted, printable
from guestbook.queries import cron_status, filtered_lists, statistics
from guestbook.settings import installation
from guestbook.storage import engines, writable_check
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, InboundEvent, Pass, Source, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.delivery import QUEUE_STATUSES


@click.command(cls=app_command.AppCommand)
@output.json_option
def status() -> None:
    """Show whether cron runs, what waits and what failed. Counting stops at 10,000, except with --json."""
    cron_status.require_columns(db.session())
    now, read, why_not = clock.now(), app_command.settings(), writable_check.why_not(db.engine)
    cron = cron_status.in_words(db.session(), now, after_requests=read.send_after_requests)
    facts = _facts(now, to_the_end=output.is_json())
    facts |= {"can be written": not why_not, "well": not why_not and cron.word in cron_status.GOOD_WORDS}
    output.end_with_json({name.replace(" ", "_"): value for name, value in facts.items()})
    output.print_fields({name: _in_words(value) for name, value in facts.items()})
    line = f"\n\n    {installation.crontab_line(read.data_dir)}" if cron.has_line else ""
    output.say(
        why_not and f"\nNothing can be stored now: {printable(why_not)}. So nothing is sent.",
        f"\n{cron.sentence}",
        cron.advice and f"{cron.advice}{line}",
    )


def _facts(now: datetime, *, to_the_end: bool) -> dict[str, Any]:
    last = db.session.scalars(select(Pass).order_by(Pass.started_at.desc()).limit(1)).first()
    read, session = app_command.settings(), db.session()
    disabled, did = Webhook.disabled_at.is_not(None), cron_status.what_passes_did
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
        "webhooks": session.query(Webhook).count(),
        "disabled webhooks": session.query(Webhook).where(disabled).count(),
        "paused webhooks": session.query(Webhook).where(~disabled, Webhook.paused_until > now).count(),
        "deliveries": _counts(Delivery, QUEUE_STATUSES, to_the_end),
        "sources": session.query(Source).count(),
        "inbound events": _counts(InboundEvent, QUEUE_STATUSES, to_the_end),
        "oldest due seconds": None if state.oldest_due_age is None else round(state.oldest_due_age),
        "last pass": clock.to_text(last.started_at) if last else None,
        "last pass did": last and (did(last) if last.finished_at else "(running, or killed)"),
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
        counts = [f"{output.up_to_limit(count, 'more than')} {name}" for name, count in value.items()]
        return ", ".join(counts) or "none"
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
