"""Find the row that somebody means, list rows, and the commands that are alike for all nouns.

A row is known by a part of its id, or by its name. Ids begin with the time, so rows of one day share their
beginnings. Lists on a terminal print the ends.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import click
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from guestbook.cli import output
from guestbook.cli.options import Decorator, FiniteRange, with_default
from guestbook.lib import clock
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.text import clean_line, counted, printable
from guestbook.queries import statistics
from guestbook.queries.filtered_lists import RowPage
from guestbook.settings import installation
from guestbook.storage import row_changes
from guestbook.storage.database import Base, db, writing
from guestbook.storage.models import Bin, ReceiverLink, Source, Token, Webhook

# The owner chose their names; a visitor chose that of a comment.
NAMED = (Webhook, Source, Bin, Token, ReceiverLink)
PLAIN_ID = re.compile("[0-9A-Za-z]{1,32}")  # Messages quote anything else.
MOST_CANDIDATES = 5
ID_LENGTH = 32
SHORTEST_END = 6  # characters
MOST_ENDS = 20_000  # No index knows ends, so only the newest rows are looked at.
M = TypeVar("M", bound=Base)

id_argument = click.argument("id_", metavar="ID")


def find(model: type[M], given: str) -> M:
    """Return the row whose id begins or ends like that, or that has the name; refuse none and several.

    A whole id never means a name. A webhook also goes by its URL.
    """
    rows: list[M] = matching(model, given)
    if len(rows) == 1:
        return rows[0]
    noun = re.sub("(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()
    shown, is_named = given if PLAIN_ID.fullmatch(given) else repr(given), model in NAMED
    if not rows:
        raise click.ClickException(f"No {noun} has the id{' or the name' if is_named else ''} {shown}.")
    some: Sequence[Any] = rows[:MOST_CANDIDATES]
    names = ", ".join(f"{row.id} ({printable(row.name)})" if is_named else row.id for row in some)
    others = " and others" if len(rows) > MOST_CANDIDATES else ""
    raise click.ClickException(f"{shown} fits more than one {noun}: {names}{others}. Give more of the id.")


def matching(model: Any, given: str) -> list[Any]:
    """Return the rows that somebody may mean, as `find` does, and none if there is none."""
    part, name, found = given.strip().lower(), clean_line(given), []
    if part.isascii() and part.isalnum() and len(part) <= ID_LENGTH:
        # The letter g follows all digits of an id.
        found = _first(model, (model.id >= part) & (model.id < part + "g"))
        if SHORTEST_END <= len(part) < ID_LENGTH:
            newest = _newest(model).subquery().c.id
            found += _first(model, model.id.in_(select(newest).where(newest.endswith(part))))
    if model is Webhook and ":" in given:
        found = _first(model, model.url.in_((given.strip(), f"{given.strip()}/")))
    if model in NAMED and name and not (found and len(part) == ID_LENGTH):
        found = _first(model, model.name == name) + found
    return list(dict.fromkeys(found))


def _first(model: Any, condition: ColumnElement[bool]) -> list[Any]:
    query = select(model).where(condition).order_by(model.id).limit(MOST_CANDIDATES + 1)
    return list(db.session.scalars(query))


def _newest(model: Any) -> Select[str]:
    """Select the newest ids, which takes milliseconds in a table of any size."""
    return select(model.id).order_by(model.id.desc()).limit(MOST_ENDS)


def shown_ids(model: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return each id as a list prints it: whole, or on a terminal the shortest end that only it has.

    An id that is not among the newest stays whole.
    """
    if not output.is_terminal() or not ids:
        return {one: one for one in ids}
    ends = {one[-SHORTEST_END:] for one in ids}
    known = {one for one in db.session.scalars(_newest(model)) if one[-SHORTEST_END:] in ends}
    length = SHORTEST_END
    while len({one[-length:] for one in known}) < len(known):
        length += 1
    return {one: one[-length:] if one in known else one for one in ids}


Facts = Callable[[Any], dict[str, Any]]
Columns = Mapping[str, Any]  # Each is the name of an attribute, which may have dots, or a function.

limit_option = with_default("--limit", type=click.IntRange(1, 10_000), default=50, help="How many.")


def newest(read_page: Callable[[str | None, int], RowPage[M]], limit: int) -> list[M]:
    """Return the newest rows. A page that had to look far back may hold only a few of them."""
    page = read_page(None, limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = read_page(page.older, limit - len(rows))
        rows += page.rows
    return rows


def print_rows(rows: Sequence[Any], facts: Facts, columns: Columns, empty: str, key: str = "") -> None:
    """Print rows as JSON and end, or a table with ids. `key` is the attribute with the row of the table."""
    models = [attrgetter(key)(row) if key else row for row in rows]
    if output.is_json():
        output.end_with_json(list(map(facts, models)))
    ids = shown_ids(type(models[0]), [one.id for one in models]) if models else {}
    values = [attrgetter(column) if isinstance(column, str) else column for column in columns.values()]
    cells = [(ids[one.id], *(of(row) for of in values)) for one, row in zip(models, rows, strict=True)]
    output.print_table(("ID", *columns), cells, empty)


class Noun(NamedTuple):
    """A noun with commands, the word for one, and how the API shows a row of it, without secrets.

    Webhooks and sources have rows that belong to them, and words for one and for many of these.
    """

    group: click.Group
    model: type[Any]
    word: str
    facts: Facts
    children: type[Any] = Base
    child_words: tuple[str, str] = ("", "")
    counts: tuple[str, str] = ("waiting", "failed")  # What a list counts of them.


def add_list(
    noun: Noun, statuses: Callable[[Session], Sequence[Any]], columns: Columns, example: str
) -> None:
    """Add the command that lists the rows with their statuses; `example` adds one."""
    counted_rows = f"{noun.child_words[1]} are {noun.counts[0]}, or {noun.counts[1]} in seven days"
    what = f"how they are doing, and how many {counted_rows}"

    @noun.group.command("list", help=f"List the {noun.word}s, {what}.")
    def list_() -> None:
        failed = statistics.failed_lately(db.session(), noun.children, clock.now())
        first = {
            "NAME": f"{noun.word}.name",
            "STATE": "shown",
            noun.counts[0].upper(): lambda row: output.up_to_limit(row.waiting),
            noun.counts[1].upper(): lambda row: failed.counts.get(getattr(row, noun.word).id, 0),
        }
        empty = f"No {noun.word}s yet. Add one: {installation.typed(f'{noun.word}s add {example}')}"
        print_rows(statuses(db.session()), noun.facts, {**first, **columns}, empty, noun.word)
        if failed.cut_at:
            click.echo(f"More than {failed.cut_at:,} failed in 7 days; only the newest are counted.")


def add_show(
    noun: Noun, secrets: Sequence[str], state: Callable[[Any], str], groups: Mapping[str, str]
) -> None:
    """Add the command that shows a row with its state, and its secrets if asked; it counts what is its."""
    counted_rows = noun.child_words[1]
    what = "Show its secret too" + (", and the values of its headers." if "headers" in secrets else ".")

    @noun.group.command("show", help=f"Show a {noun.word} with its URL, and count its {counted_rows}.")
    @id_argument
    @click.option("--secret", "is_revealed", is_flag=True, help=what)
    def show(id_: str, is_revealed: bool) -> None:
        with writing() as session:
            row = find(noun.model, id_)
            if is_revealed:
                row_changes.note_reveal(session, row)
        facts = noun.facts(row) | ({name: getattr(row, name) for name in secrets} if is_revealed else {})
        output.end_with_json(facts)
        facts = {name: HIDDEN if getattr(row, name) else None for name in secrets} | facts
        mine = getattr(noun.children, f"{noun.word}_id") == row.id
        words = output.counts(statistics.by_word(db.session(), noun.children, mine))
        output.print_groups(facts | {"state": state(row), counted_rows: words}, groups)


def add_switch(noun: Noun, verb: str, help_text: str) -> None:
    """Add the command enable or disable."""
    change = row_changes.enable if verb == "enable" else row_changes.disable

    @noun.group.command(verb, help=help_text)
    @id_argument
    def switch(id_: str) -> None:
        with writing() as session:
            row = find(noun.model, id_)
            change(session, row)
            facts = noun.facts(row)
        output.print_done(facts, f"{verb.capitalize()}d {noun.word} {row.id}.")


LONGEST_OVERLAP = 30 * 24  # hours
ROTATED = {  # How each is called, its field, and the field with the end of the old one.
    "secret": ("secret", "secret", "previous_secret_expires_at"),
    "key": ("public key", "public_key", "previous_signing_key_expires_at"),
}


def add_rotation(
    noun: Noun, what: str, rotate: Callable[..., None], given: Decorator, valid: str, help_text: str
) -> None:
    """Add rotate-secret or rotate-key. `given` is its option, and `valid` the verb for the old one."""
    shown, field, old_end = ROTATED[what]
    limit, words = FiniteRange(0, LONGEST_OVERLAP), f"How long the old {what} {valid} beside the new one."

    @noun.group.command(f"rotate-{what}", help=help_text)
    @id_argument
    @given
    @with_default("--overlap-hours", type=limit, default=24, help=words)
    def rotation(id_: str, overlap_hours: float, **option: str | None) -> None:
        (value,) = option.values()
        with writing() as session:
            row = find(noun.model, id_)
            rotate(session, row, timedelta(hours=overlap_hours), value)
            # A secret that was given is not printed again.
            made = {} if value and what == "secret" else {field: getattr(row, field)}
            facts = noun.facts(row) | made
        new = f": {made[field]}" if made else " is set."
        end = f"beside it until {facts[old_end]}" if overlap_hours else "no more"
        output.print_done(facts, f"The new {shown}{new}", f"The old one {valid} {end}.")


def add_deletion(noun: Noun, help_text: str) -> None:
    """Add the command that deletes a row with what belongs to it."""

    @noun.group.command("delete", help=help_text)
    @id_argument
    @output.yes_option
    def deletion(id_: str, yes: bool) -> None:
        row = find(noun.model, id_)
        row_id, name = row.id, printable(f"{noun.word} {row.name}")
        output.ask_on_terminal(lambda: _going(noun, row_id, name), yes)
        db.session.rollback()  # A reader would keep SQLite's journal from being written.
        count = row_changes.delete_with_rows(db.engine, noun.model, row_id)
        done = f"Deleted {noun.word} {row_id} and {counted(count, *noun.child_words)}."
        output.print_done({"deleted": [row_id], noun.child_words[1]: count}, done)


def _going(noun: Noun, row_id: str, name: str) -> str:
    """Say what is deleted with a webhook or source: what waits, and what is over."""
    (one, many), waits = noun.child_words, noun.children.due_at.is_not(None)
    mine = getattr(noun.children, f"{noun.word}_id") == row_id
    kinds = {"waiting": mine & waits, "old": mine & ~waits}
    counts = {word: statistics.count_some(db.session(), kinds[word], noun.children) for word in kinds}
    parts = [f"{output.up_to_limit(count, 'more than')} {word}" for word, count in counts.items() if count]
    what, verb = (one, "goes") if sum(counts.values()) == 1 else (many, "go")
    return f"{' and '.join(parts)} {what} {verb} with the {name}." if parts else f"The {name} has no {many}."


def add_revocation(noun: Noun, revoke: Callable[[Session, Any], None], help_text: str) -> None:
    """Add the command revoke. On a terminal it says when the token or link was last used, and asks."""

    @noun.group.command("revoke", help=help_text)
    @id_argument
    @output.yes_option
    def revocation(id_: str, yes: bool) -> None:
        row = find(noun.model, id_)
        row_id, name, used = row.id, printable(row.name), row.last_used_at
        last = f"was last used {clock.ago(used)}" if used else "was never used"
        output.ask_on_terminal(lambda: f"The {noun.word} {name} {last}.", yes, "Revoke")
        with writing() as session:
            revoke(session, find(noun.model, row_id))
        output.print_done({"revoked": [row_id]}, f"Revoked {noun.word} {row_id}.")
