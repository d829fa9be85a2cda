"""Programs of others make types of the OpenAPI document: each event has one that fits its bodies alone."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api import openapi
from tests.conftest import run
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


@pytest.mark.needs("npm-packages")
def test_types_for_typescript_fit_the_bodies_of_every_event_and_a_part_and_no_others(written: Path) -> None:
    """One program has them all, for each program takes seconds."""
    folder, good, bad = npm.installed(), good_bodies(), bad_bodies()
    assert folder
    comment = json.dumps(EVENTS["comment.created"].example()["data"]["comment"])
    lines = [f"export const part: {PART_TYPE} = {comment};"]
    lines += [
        f"export const body{number}: {BODY_TYPE.format(name)} = {json.dumps(body)};"
        for number, (name, body) in enumerate(good + bad)
    ]
    assert compiled(folder, written, lines) == set(range(1 + len(good), len(lines)))


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


def test_types_for_python_fit_the_bodies_of_every_event_and_no_others(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = written.with_name("made_types.py")
    options = ("--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel")
    done = run(str(GENERATE), "--input", str(written), *options, "--output", str(place))
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(str(written.parent))
    types = import_module("made_types")
    for name, body in good_bodies():
        made = getattr(types, EVENTS[name].type_name).model_validate(body)
        assert made.type == name
        assert str(made.data.guestbook.title) == "Guestbook"
    for name, body in bad_bodies():
        with pytest.raises(ValueError, match="validation error"):
            getattr(types, EVENTS[name].type_name).model_validate(body)
    body = EVENTS["comment.created"].example()  # fields of later versions do no harm
    body["data"]["comment"]["later"] = body["data"]["later"] = body["later"] = 1
    assert types.CommentCreatedEvent.model_validate(body).data.comment.number == 73
