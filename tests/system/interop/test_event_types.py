"""Programs of others make types of the OpenAPI document: each event has one that fits its bodies alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api import openapi
from tests.conftest import need, run
from tests.system.interop import npm

GENERATE = Path(sys.executable).with_name("datamodel-codegen")
MAKE = "node_modules/openapi-typescript/bin/cli.js"
COMPILE = ("node", "node_modules/typescript/lib/tsc.js", "--noEmit", "--strict", "--pretty", "false")
# The types of a browser's whole DOM take longer than ours, and so do errors in those of the language itself.
COMPILE += ("--lib", "es2022", "--skipLibCheck")
BODY_TYPE = 'webhooks["{}"]["post"]["requestBody"]["content"]["application/json"]'
PART_TYPE = 'components["schemas"]["EventComment"]'
IMPORT = 'import type { components, webhooks } from "./guestbook";'

Body = dict[str, Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document in a file."""
    path = tmp_path_factory.mktemp("types") / "openapi.json"
    path.write_text(json.dumps(openapi.build("https://book.example/api/v1")))
    return path


def good_bodies() -> list[tuple[str, Body]]:
    """An example of each event, without the optional parts and with them."""
    bodies = []
    for event in EVENTS.values():
        every = event.example()
        every["data"] |= {name: part.sample for name, part in event.data.items()}
        bodies += [(event.name, event.example()), (event.name, every)]
    return bodies


def bad_bodies() -> list[tuple[str, Body]]:
    """The examples with an error: another event, a part that is missing, a part or field of another type."""
    bodies = []
    for event in EVENTS.values():
        first = next(iter(event.data))
        for changes in ({first: None}, {first: {**event.data[first].sample, "id": 1, "count": "many"}}):
            body = event.example()
            body["data"] |= changes
            bodies.append((event.name, body))
        body = event.example()
        del body["data"]["guestbook"]
        bodies += [(event.name, body), (event.name, {**event.example(), "type": "other"})]
    return bodies


# --- TypeScript


@pytest.fixture(scope="module")
def wrong(written: Path) -> set[int]:
    """The lines of TypeScript with errors, counted over the good bodies, the bad ones and a part.

    One program has them all, for each program takes seconds.
    """
    need("npm-packages")
    folder = npm.installed()
    assert folder
    lines = [
        f"export const body{number}: {BODY_TYPE.format(name)} = {json.dumps(body)};"
        for number, (name, body) in enumerate(good_bodies() + bad_bodies())
    ]
    comment = json.dumps(EVENTS["comment.created"].example()["data"]["comment"])
    return compiled(folder, written, [*lines, f"export const part: {PART_TYPE} = {comment};"])


def test_types_for_typescript_fit_the_bodies_of_every_event(wrong: set[int]) -> None:
    assert wrong.isdisjoint(range(len(good_bodies())))


def test_types_for_typescript_fit_no_other_bodies(wrong: set[int]) -> None:
    first = len(good_bodies())
    assert wrong >= set(range(first, first + len(bad_bodies())))


def test_parts_have_types_for_typescript_too(wrong: set[int]) -> None:
    assert len(good_bodies() + bad_bodies()) not in wrong


def compiled(packages: Path, document: Path, lines: list[str]) -> set[int]:
    """Make the types, compile a program with these lines, and return the numbers of those with errors."""
    folder = document.parent
    made = run("node", MAKE, str(document), "--output", str(folder / "guestbook.ts"), cwd=packages)
    assert made.returncode == 0, made.stderr
    program = folder / "program.ts"
    program.write_text("\n".join([IMPORT, *lines]) + "\n")
    done = subprocess.run([*COMPILE, str(program)], cwd=packages, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if ": error " in line]
    assert all(line.partition("(")[0].endswith("program.ts") for line in told), done.stdout
    assert bool(told) == bool(done.returncode), done.stdout
    return {int(line.partition("(")[2].partition(",")[0]) - 2 for line in told}


# --- Python


@pytest.fixture(scope="module")
def types(written: Path) -> Iterator[Any]:
    """The module that datamodel-code-generator has made of the document."""
    place = written.with_name("made_types.py")
    options = ("--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel")
    done = run(str(GENERATE), "--input", str(written), *options, "--output", str(place))
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(written.parent))
        yield import_module("made_types")


def test_types_for_python_fit_the_bodies_of_every_event_and_no_others(types: Any) -> None:
    for name, body in good_bodies():
        made = getattr(types, EVENTS[name].type_name).model_validate(body)
        assert made.type == name
        assert str(made.data.guestbook.title) == "Guestbook"
    for name, body in bad_bodies():
        with pytest.raises(ValueError, match="validation error"):
            getattr(types, EVENTS[name].type_name).model_validate(body)


def test_fields_of_later_versions_do_no_harm_there(types: Any) -> None:
    body = EVENTS["comment.created"].example()
    body["data"]["comment"]["later"] = body["data"]["later"] = body["later"] = 1
    assert types.CommentCreatedEvent.model_validate(body).data.comment.number == 73
