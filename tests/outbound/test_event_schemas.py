"""No change of the catalogue breaks receivers: the snapshot of the schemas says on what they may rely."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from guestbook.lib.json_schema import Schema
from guestbook.outbound import payload_versions
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage.models.delivery import FIRST_VERSION
from scripts import event_snapshot
from scripts.event_snapshot import breaking_changes

Schemas = dict[str, Schema]


def test_no_event_and_no_field_on_which_receivers_rely_has_changed() -> None:
    broken = list(breaking_changes(newest(), event_snapshot.current()))
    assert broken == [], event_snapshot.ADVICE


def test_the_snapshot_is_fresh_and_has_every_version() -> None:
    assert newest() == event_snapshot.current(), "Run scripts/reference."
    assert event_snapshot.stored().keys() == payload_versions.VERSIONS.keys()


def test_the_shapes_of_every_version_are_those_of_its_snapshot() -> None:
    for version, schemas in event_snapshot.stored().items():
        assert misfits(version, schemas) == []


def newest() -> Schemas:
    """What is stored of the newest version."""
    return event_snapshot.stored()[payload_versions.newest()]


def misfits(version: str, schemas: Schemas) -> list[str]:
    """Return what does not fit these schemas when samples of today's events go back to the version."""
    found = []
    for name, schema in schemas.items():
        body = EVENTS[name].example()
        every = {**body, "data": {part: one.sample for part, one in EVENTS[name].data.items()}}
        for shaped in (payload_versions.in_version(one, version) for one in (body, every)):
            found += [f"{name}: {one.message}" for one in Draft202012Validator(schema).iter_errors(shaped)]
    return found


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
    assert event_snapshot.stored() == {payload_versions.newest(): event_snapshot.current()}
    before, less = event_snapshot.stored(), copy.deepcopy(event_snapshot.current())
    remove(less)
    monkeypatch.setattr(event_snapshot, "current", lambda: less)
    with pytest.raises(SystemExit, match=r"comment\.created: the field data\.comment\.place is gone\."):
        event_snapshot.renew()
    assert event_snapshot.stored() == before


def test_a_new_version_may_break_and_the_one_before_keeps_its_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_snapshot, "SNAPSHOT", tmp_path / "schemas.json")
    event_snapshot.renew()
    [(version, before)] = event_snapshot.stored().items()
    less = copy.deepcopy(before)
    remove(less)
    monkeypatch.setattr(event_snapshot, "current", lambda: less)
    monkeypatch.setitem(payload_versions.VERSIONS, "2127-01-01", lambda payload: payload)
    event_snapshot.renew()
    assert event_snapshot.stored() == {version: before, "2127-01-01": less}
    monkeypatch.delitem(payload_versions.VERSIONS, version)
    event_snapshot.renew()
    assert event_snapshot.stored() == {"2127-01-01": less}


def renamed(payload: dict[str, Any]) -> dict[str, Any]:
    """A step back to a version whose comments had a place named `town`."""
    if found := payload["data"].get("comment"):
        found["town"] = found.pop("place")
    return payload


def test_a_step_that_does_not_make_the_older_shape_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    older, schemas = "2025-01-01", {"comment.created": copy.deepcopy(newest()["comment.created"])}
    remove(schemas)
    comment(schemas)["properties"]["town"] = {"type": ["string", "null"]}
    comment(schemas)["required"].append("town")
    monkeypatch.setitem(payload_versions.VERSIONS, older, None)
    missing = "comment.created: 'town' is a required property"
    assert misfits(older, schemas) == [missing, missing]
    monkeypatch.setitem(payload_versions.VERSIONS, FIRST_VERSION, renamed)
    assert misfits(older, schemas) == []
    assert misfits(FIRST_VERSION, newest()) == []
