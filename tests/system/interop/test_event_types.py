"""Programs of others make types of the OpenAPI document: each event has one that fits its bodies alone."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api import openapi_document
from tests.conftest import run

GENERATE = Path(sys.executable).with_name("datamodel-codegen")
MAKE = "node_modules/openapi-typescript/bin/cli.js"
COMPILE = ("node", "node_modules/typescript/lib/tsc.js", "--noEmit", "--strict", "--pretty", "false")
BODY_TYPE = 'webhooks["{}"]["post"]["requestBody"]["content"]["application/json"]'
IMPORT = 'import type { components, webhooks } from "./guestbook";'

Body = dict[str, Any]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The document in a file."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(openapi_document.build("https://book.example/api/v1")))
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
def test_types_for_typescript_fit_the_bodies_of_every_event(packages: Path, written: Path) -> None:
    assert wrong_lines(packages, written, good_bodies()) == set()


@pytest.mark.needs("npm-packages")
def test_types_for_typescript_fit_no_other_bodies(packages: Path, written: Path) -> None:
    bodies = bad_bodies()
    assert wrong_lines(packages, written, bodies) == set(range(len(bodies)))


@pytest.mark.needs("npm-packages")
def test_parts_have_types_for_typescript_too(packages: Path, written: Path) -> None:
    name = json.dumps(EVENTS["comment.created"].example()["data"]["comment"])
    lines = [f'export const a: components["schemas"]["EventComment"] = {name};']
    assert compiled(packages, written, lines) == set()


def wrong_lines(packages: Path, document: Path, bodies: list[tuple[str, Body]]) -> set[int]:
    """The numbers of the bodies that do not have the type of their event."""
    return compiled(
        packages,
        document,
        [
            f"export const body{number}: {BODY_TYPE.format(name)} = {json.dumps(body)};"
            for number, (name, body) in enumerate(bodies)
        ],
    )


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


@pytest.fixture
def types(written: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that datamodel-code-generator has made of the document."""
    place = written.with_name("made_types.py")
    options = ("--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel")
    done = run(str(GENERATE), "--input", str(written), *options, "--output", str(place))
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(str(written.parent))
    monkeypatch.delitem(sys.modules, "made_types", raising=False)
    return import_module("made_types")


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
