"""The command that shows and exports the audit log."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import click

from guestbook.cli import app_command, list_options, output
from guestbook.cli.options import WHEN, Choice, moment
from guestbook.lib import json_schema, text
from guestbook.queries import lists
from guestbook.queries.lists import AuditFilter
from guestbook.storage.database import db
from guestbook.storage.models import AUDIT_LOG, AuditEntry
from guestbook.storage.models.audit_entry import ACTORS, AUDIT_ENTRY_SCHEMA, AUDITED_ACTIONS

SHOWN_ENTRIES = 50  # in a table; an export has all
ALL_ENTRIES = 1_000_000_000


@click.command(cls=app_command.AppCommand)
@click.option("--action", type=Choice(AUDITED_ACTIONS), help="Only entries with this action.")
@click.option("--actor", type=Choice(ACTORS), help="Only entries of this kind of actor.")
@click.option("--since", callback=moment, metavar="WHEN", help=f"Only those since then {WHEN}.")
@click.option("--until", callback=moment, metavar="WHEN", help=f"Only those before then {WHEN}.")
@click.option(
    "--limit", type=click.IntRange(1), help=f"How many; by default {SHOWN_ENTRIES}, and all in an export."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
@output.as_json
def audit(
    action: str | None,
    actor: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show who did what on the admin pages, by the API and by commands, newest first."""
    if as_csv and as_json:
        raise click.UsageError("Choose --csv or --json.")
    wanted = AuditFilter(action=action, actor=actor, since=since, until=until)
    most = limit or (ALL_ENTRIES if as_csv or as_json else SHOWN_ENTRIES)
    rows = list_options.newest(partial(lists.audit, db.session(), wanted), most)
    if as_json:
        output.print_json([json_schema.of_row(row, AUDIT_ENTRY_SCHEMA) for row in rows])
    elif as_csv:
        _print_csv([json_schema.of_row(row, AUDIT_ENTRY_SCHEMA) for row in rows])
    else:
        _print_table(rows, "No such entry." if wanted != AuditFilter() else "No entries yet.")


def _print_csv(rows: Sequence[Mapping[str, object]]) -> None:
    names = [column.name for column in AUDIT_LOG.columns]
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([text.inert_cell(str(row[name] or "")) for name in names] for row in rows)


def _print_table(rows: Sequence[AuditEntry], empty: str) -> None:
    output.print_table(
        ("WHEN", "BY", "ACTION", "OBJECT", "NAME", "DETAIL"),
        [(row.at, _by(row), row.action, row.object, row.object_name, row.remark) for row in rows],
        empty,
        cut=("BY", "NAME", "DETAIL"),
    )


def _by(row: AuditEntry) -> str:
    """Return the command, or the kind of actor with its name."""
    name = row.actor_name or ""
    return name if row.actor == "command" else f"{row.actor} {name}".strip()
