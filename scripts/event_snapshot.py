"""The snapshot of the schemas of our events by version, and what a change would break in receivers."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from guestbook.lib import json_schema
from guestbook.lib.json_schema import Schema, SchemaField
from guestbook.outbound import payload_versions
from guestbook.outbound.event_catalogue import EVENTS

SNAPSHOT = Path(__file__).parents[1] / "tests/outbound/event_schemas.json"
WORDS = ("title", "description", "examples")  # they may change at any time
LIMITS = ("format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
ADVICE = (
    "Keep the old field beside the new one, or add a version: the recipe is "
    "“Change the shape of an event” in CONTRIBUTING.md."
)


def current() -> dict[str, Schema]:
    """Return the schema of each event in the newest version, without words for people."""
    return {name: _without_words(event.schema()) for name, event in EVENTS.items()}


def stored() -> dict[str, dict[str, Schema]]:
    """Return the snapshot: the schemas of each version."""
    return dict(json.loads(SNAPSHOT.read_text())) if SNAPSHOT.exists() else {}


def renew() -> None:
    """Write the newest version again; stop with a sentence for each change that would break receivers.

    Older versions stay as they are. One that the guestbook no longer makes goes.
    """
    newest, before = payload_versions.newest(), stored()
    if broken := list(breaking_changes(before.get(newest, {}), current())):
        sys.exit("\n".join(("This would break receivers:", *broken, ADVICE)))
    kept = {version: schemas for version, schemas in before.items() if version in payload_versions.VERSIONS}
    SNAPSHOT.write_text(json.dumps(kept | {newest: current()}, indent=1) + "\n")


def breaking_changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> Iterator[str]:
    """Give a sentence for each event or field on which a receiver may rely and that is not as it was."""
    for event, was in old.items():
        if event not in new:
            yield f"{event}: the event is gone."
            continue
        present = {field.path: field for field in json_schema.fields(new[event])}
        for field in json_schema.fields(was):
            if reason := _reason(field, present.get(field.path)):
                yield f"{event}: the field {field.path} {reason}."


def _reason(was: SchemaField, now: SchemaField | None) -> str | None:
    """Return why a receiver that relies on the field would fail."""
    if now is None:
        return "is gone"
    if was.is_required and not now.is_required:
        return "may now be missing"
    # All that comes now could come before; None stands for anything.
    for before, after in zip(_allowed(was.schema), _allowed(now.schema), strict=True):
        if before is None or (after is not None and after <= before):
            continue
        return f"was {json_schema.in_words(was.schema)} and is now {json_schema.in_words(now.schema)}"
    for limit in LIMITS:
        before, after = was.schema.get(limit), now.schema.get(limit)
        if before is not None and before != after:
            return f"had the {limit} {before} and now has {'none' if after is None else after}"
    return None


def _allowed(schema: Schema) -> tuple[set[Any] | None, set[Any] | None]:
    """Return the types and the values of a field; None stands for any."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return set(json_schema.types(schema)) or None, None if values is None else set(values)


def _without_words(schema: Schema) -> Schema:
    bare = {name: value for name, value in schema.items() if name not in WORDS}
    if "properties" in bare:
        bare["properties"] = {name: _without_words(below) for name, below in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = _without_words(bare["items"])
    return bare
