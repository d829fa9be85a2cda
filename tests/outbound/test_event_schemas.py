"""No change of the catalogue breaks receivers: the snapshot of the schemas says on what they may rely."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestbook.lib.json_schema import Schema
from scripts import event_snapshot
from scripts.event_snapshot import breaking_changes

Schemas = dict[str, Schema]


def test_no_event_and_no_field_on_which_receivers_rely_has_changed() -> None:
    broken = list(breaking_changes(event_snapshot.stored(), event_snapshot.current()))
    assert broken == [], event_snapshot.ADVICE


def test_the_snapshot_is_fresh() -> None:
    assert event_snapshot.stored() == event_snapshot.current(), "Run scripts/reference."


def comment(schemas: Schemas) -> Schema:
    """The comment in comment.created."""
    found: Schema = schemas["comment.created"]["properties"]["data"]["properties"]["comment"]
    return found


def waiting(schemas: Schemas) -> Schema:
    """The comments in a reminder."""
    found: Schema = schemas["comments.waiting"]["properties"]["data"]["properties"]["waiting"]
    return found["properties"]["comments"]["items"]


def field(name: str, **rules: Any) -> Callable[[Schemas], None]:
    """Change rules of a field of the comment."""
    return lambda schemas: comment(schemas)["properties"][name].update(rules)


def remove(schemas: Schemas) -> None:
    del comment(schemas)["properties"]["place"]
    comment(schemas)["required"].remove("place")


STATUSES = ["published", "held", "spam", "trash"]
FIELD, LISTED = "comment.created: the field data.comment.", ", ".join(STATUSES)
BREAKING: list[tuple[Callable[[Schemas], Any], str]] = [
    (lambda schemas: schemas.pop("ping"), "ping: the event is gone."),
    (remove, f"{FIELD}place is gone."),
    (lambda schemas: comment(schemas)["required"].remove("name"), f"{FIELD}name may now be missing."),
    (field("name", type=["string", "null"]), f"{FIELD}name was text and is now text or null."),
    (
        field("status", enum=[*STATUSES, "lost"]),
        f"{FIELD}status was one of {LISTED} and is now one of {LISTED}, lost.",
    ),
    (
        lambda schemas: comment(schemas)["properties"]["created_at"].pop("format"),
        f"{FIELD}created_at had the format date-time and now has none.",
    ),
    (field("id", pattern="^[0-9]+$"), FIELD + "id had the pattern ^[0-9a-f]{32}$ and now has ^[0-9]+$."),
    (
        lambda schemas: waiting(schemas)["properties"].pop("held_at"),
        "comments.waiting: the field data.waiting.comments[].held_at is gone.",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BREAKING, ids=[sentence for _, sentence in BREAKING])
def test_a_change_that_breaks_receivers_names_the_event_and_the_field(
    change: Callable[[Schemas], Any], sentence: str
) -> None:
    old = event_snapshot.current()
    new = copy.deepcopy(old)
    change(new)
    assert sentence in list(breaking_changes(old, new))


def add_required(schemas: Schemas) -> None:
    comment(schemas)["properties"]["mood"] = {"type": "string"}
    comment(schemas)["required"].append("mood")


HARMLESS: list[Callable[[Schemas], Any]] = [
    lambda schemas: schemas.update({"comment.liked": copy.deepcopy(schemas["ping"])}),
    add_required,
    lambda schemas: comment(schemas)["required"].append("note"),
    field("website", type="string"),
    field("status", enum=["published", "held"]),
    field("name", minLength=1),
]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_receivers_do_not_notice_may_change(change: Callable[[Schemas], Any]) -> None:
    old = event_snapshot.current()
    new = copy.deepcopy(old)
    change(new)
    assert list(breaking_changes(old, new)) == []


def test_the_snapshot_is_written_again_unless_receivers_would_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_snapshot, "SNAPSHOT", tmp_path / "schemas.json")
    event_snapshot.renew()
    assert event_snapshot.stored() == event_snapshot.current()
    before, less = event_snapshot.stored(), copy.deepcopy(event_snapshot.current())
    remove(less)
    monkeypatch.setattr(event_snapshot, "current", lambda: less)
    with pytest.raises(SystemExit, match=r"comment\.created: the field data\.comment\.place is gone\."):
        event_snapshot.renew()
    assert event_snapshot.stored() == before
