"""What the commands of several nouns share: lists, and the commands that are alike for all nouns.

Each noun gives its group, its model, and how the API shows a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, TypeVar

import click
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from guestbook.cli import output, row_lookup
from guestbook.cli.options import FiniteRange
from guestbook.lib import clock
from guestbook.lib.text import counted, printable
from guestbook.queries import statistics
from guestbook.queries.filtered_lists import RowPage
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import AuditEntry, Comment, Delivery, InboundEvent

LONGEST_OVERLAP = 30 * 24  # hours
F = TypeVar("F", bound=Callable[..., Any])
Q = TypeVar("Q", AuditEntry, Comment, Delivery, InboundEvent)
Column = str | Callable[[Any], object]  # The name may have dots.

limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)


def newest(read_page: Callable[[str | None, int], RowPage[Q]], limit: int) -> list[Q]:
    """Return the newest rows. A page that had to look far back may hold only a few of them."""
    page = read_page(None, limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = read_page(page.older, limit - len(rows))
        rows += page.rows
    return rows


def print_rows(
    rows: Sequence[Any],
    facts: Callable[[Any], dict[str, Any]],
    columns: Mapping[str, Column],
    empty: str,
    *,
    as_json: bool,
    cut: Sequence[str] = (),
    key: str = "",
) -> None:
    """Print rows as JSON, or as a table with their ids; `key` is the attribute with the row of the table."""
    models = [attrgetter(key)(row) if key else row for row in rows]
    if as_json:
        output.print_json(list(map(facts, models)))
        return
    ids = row_lookup.shown_ids(type(models[0]), [one.id for one in models]) if models else {}
    values = [attrgetter(column) if isinstance(column, str) else column for column in columns.values()]
    cells = [(ids[one.id], *(of(row) for of in values)) for one, row in zip(models, rows, strict=True)]
    output.print_table(("ID", *columns), cells, empty, cut=cut)


@dataclass(frozen=True)
class Noun:
    """A noun with commands, and how the API shows a row of it, without secrets."""

    group: click.Group
    model: type[Any]
    facts: Callable[[Any], dict[str, Any]]

    @property
    def word(self) -> str:
        """Return `webhook`."""
        return self.model.__name__.lower()


def add_switches(noun: Noun, *, enable: str, disable: str) -> None:
    """Add the commands enable and disable with these texts of help."""
    _add_switch(noun, "enable", row_changes.enable, enable)
    _add_switch(noun, "disable", row_changes.disable, disable)


def _add_switch(noun: Noun, verb: str, change: Callable[[Session, Any], None], help_text: str) -> None:
    @noun.group.command(verb, help=help_text)
    @row_lookup.id_argument
    @output.as_json
    def switch(id_: str, as_json: bool) -> None:
        with writing() as session:
            row = row_lookup.find(noun.model, id_)
            change(session, row)
            facts = noun.facts(row)
        output.print_done(f"{verb.capitalize()}d {noun.word} {row.id}.", facts, as_json)


@dataclass(frozen=True)
class Rotation:
    """What `rotate-secret` or `rotate-key` makes again, and how it is called."""

    what: str
    shown: str
    field: str
    old_end: str


SECRET = Rotation("secret", "secret", "secret", "previous_secret_expires_at")
KEY = Rotation("key", "public key", "public_key", "previous_signing_key_expires_at")


def add_rotation(
    noun: Noun,
    kind: Rotation,
    rotate: Callable[[Session, Any, timedelta, str | None], None],
    given: Callable[[Any], Any],
    *,
    is_valid: str,
    help_text: str,
) -> None:
    """Add rotate-secret or rotate-key. `given` is its option, and `is_valid` the verb for the old one."""

    @noun.group.command(f"rotate-{kind.what}", help=help_text)
    @row_lookup.id_argument
    @given
    @_overlap_option(kind, is_valid)
    @output.as_json
    def rotation(id_: str, overlap_hours: float, as_json: bool, **option: str | None) -> None:
        (value,) = option.values()
        with writing() as session:
            row = row_lookup.find(noun.model, id_)
            rotate(session, row, timedelta(hours=overlap_hours), value)
            # What was given is not printed again.
            made: Any = {kind.field: getattr(row, kind.field)} if kind is KEY or not value else {}
            facts = noun.facts(row) | made
        new = f": {made[kind.field]}" if made else " is set."
        end = f"beside it until {facts[kind.old_end]}" if overlap_hours else "no more"
        output.print_done(f"The new {kind.shown}{new}\nThe old one {is_valid} {end}.", facts, as_json)


def _overlap_option(kind: Rotation, is_valid: str) -> Callable[[F], F]:
    return click.option(
        "--overlap-hours",
        type=FiniteRange(0, LONGEST_OVERLAP),
        default=24,
        show_default=True,
        help=f"How long the old {kind.what} {is_valid} beside the new one.",
    )


def add_deletion(
    noun: Noun,
    delete: Callable[[Any, str], int],
    children: type[Delivery] | type[InboundEvent],
    words: tuple[str, str],
    help_text: str,
) -> None:
    """Add the command that deletes a row with its children; `words` are the noun for one and for many."""

    @noun.group.command("delete", help=help_text)
    @row_lookup.id_argument
    @output.yes_option
    @output.as_json
    def deletion(id_: str, yes: bool, as_json: bool) -> None:
        row = row_lookup.find(noun.model, id_)
        row_id, name = row.id, f"{noun.word} {row.name}"
        mine = getattr(children, f"{noun.word}_id") == row_id
        output.ask_on_terminal(lambda: _going(children, mine, name, *words), yes)
        db.session.rollback()  # A reader would keep SQLite's journal from being written.
        count = delete(db.engine, row_id)
        done = f"Deleted {noun.word} {row_id} and {counted(count, *words)}."
        output.print_done(done, {"deleted": [row_id], words[1]: count}, as_json)


def _going(model: Any, which: ColumnElement[bool], owner: str, one: str, many: str) -> str:
    """Say what is deleted with a webhook or source: what waits, and what is over."""
    session, waits = db.session(), model.due_at.is_not(None)
    waiting, old = (statistics.count_some(session, which & some, model) for some in (waits, ~waits))
    parts = []
    if waiting:
        parts.append(f"{output.up_to_limit(waiting, 'more than')} waiting {one if waiting == 1 else many}")
    if old:
        noun = ("one" if old == 1 else "ones") if waiting else (one if old == 1 else many)
        parts.append(f"{output.up_to_limit(old, 'more than')} old {noun}")
    name, verb = printable(owner), "goes" if waiting + old == 1 else "go"
    return f"{' and '.join(parts)} {verb} with the {name}." if parts else f"The {name} has no {many}."


def add_revocation(noun: Noun, word: str, revoke: Callable[[Session, Any], None], help_text: str) -> None:
    """Add the command revoke. On a terminal it says when the token or link was last used, and asks."""

    @noun.group.command("revoke", help=help_text)
    @row_lookup.id_argument
    @output.yes_option
    @output.as_json
    def revocation(id_: str, yes: bool, as_json: bool) -> None:
        row = row_lookup.find(noun.model, id_)
        row_id, name, used = row.id, printable(row.name), row.last_used_at
        last = f"was last used {clock.ago(used)}" if used else "was never used"
        output.ask_on_terminal(lambda: f"The {word} {name} {last}.", yes, "Revoke")
        with writing() as session:
            revoke(session, row_lookup.find(noun.model, row_id))
        output.print_done(f"Revoked {word} {row_id}.", {"revoked": [row_id]}, as_json)
