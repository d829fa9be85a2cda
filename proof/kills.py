"""Kill passes, workers and commands by SIGKILL, thousands of times, at moments that a seed draws.

A round has a book on one of the databases. Passes on three hosts, or a relay and two workers, die and are
replaced, while comments change. In the end everything must have arrived, in order, and each request that is
on no record must be one of a killed process. Then the commands die (proof/killed_commands.py).
"""

import gc
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click

from guestbook import settings
from guestbook.background.doctor import State, examination
from guestbook.lib import files
from guestbook.storage.database import db
from proof.killed_commands import CommandsOfBook
from proof.power_scenarios import EXPECTED
from tests.conftest import running, settings_for
from tests.support import databases, rabbitmq, sent_payloads
from tests.support.book import Book
from tests.support.forks import Forks, open_forks
from tests.support.killed_commands import KilledCommands
from tests.support.killed_passes import HASTY, KilledPasses

BROKER = "rabbitmq"
MODES = (*databases.MODES, BROKER)
ROUND, SHARE_OF_BROKER = 90, 4  # Kills; a worker takes seconds to start, so rounds with a broker are smaller.
KILLS_OF_TWIN = 20
FIGURES = "requests", "repeats", "overtaken by a deletion"


@contextmanager
def opened(mode: str, forks: Forks, **more: str) -> Iterator[tuple[Book, dict[str, str]]]:
    """Give an empty book and its settings; no process of it is left in the end."""
    with TemporaryDirectory() as name, databases.with_tables(mode, Path(name)) as url:
        environ = settings_for(Path(name), url) | HASTY | more
        with running(environ) as app, app.app_context():
            try:
                yield Book(app), environ
            finally:
                forks.ask(do="end")
                db.session.remove()


def play(mode: str, luck: Random, forks: Forks, node: rabbitmq.Node, size: int) -> Counter[str]:
    """Play a round of about that many kills, and return how many there were, and the figures."""
    if mode == BROKER:
        if not node.runs:
            node.start()
        vhost, on = node.vhost(), luck.choice(databases.KINDS)
        with opened(on, forks, GUESTBOOK_BROKER_URL=vhost.url) as (book, environ):
            passes = KilledPasses(book, forks, environ, luck, {"relay": 1, "worker": 2})
            found = passes.play(max(2, size // SHARE_OF_BROKER))
            examine(environ)
        vhost.drop()
        return found + passes.kills
    with opened(mode, forks) as (book, environ):
        passes = KilledPasses(book, forks, environ, luck, {"pass": 3})
        found = passes.play(size * 4 // 5)
        commands = KilledCommands(forks, luck)
        CommandsOfBook(mode, book, environ, commands).play(max(1, size // 25))
        examine(environ)
    assert not (faults := sent_payloads.take_faults()), faults
    return found + passes.kills + commands.kills


def examine(environ: dict[str, str]) -> None:
    """Assert that doctor finds no damage."""
    found = [one for one in examination.examine(settings.load(environ)) if one.state is State.PROBLEM]
    assert not [one for one in found if one.subject in EXPECTED], found


TWINS = {
    "recorded_first": "lost",
    "without_lease": "a repeat without a kill",
    "without_order": "out of order",
}


def fault_of(twin: str, forks: Forks) -> str:
    """Play the passes with a defect, and return what is found wrong."""
    with opened("sqlite-wal", forks, GUESTBOOK_TEST_TWIN=twin) as (book, environ):
        try:
            KilledPasses(book, forks, environ, Random(twin), {"pass": 3}).play(KILLS_OF_TWIN)
        except AssertionError as error:
            return str(error).partition(":")[0]
    return "nothing"


def run(kills: int, seed: int, modes: tuple[str, ...], file: Path, folder: Path) -> bool:
    """Play rounds until so many kills are done; return whether nothing was lost, and each twin was caught."""
    rounds: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    (folder / "node").mkdir()
    with open_forks(folder / "forks") as forks, rabbitmq.open_node(folder / "node") as node:
        while sum(sum(one["kills"].values()) for one in rounds) < kills:
            began, numbers = time.monotonic(), Counter(one["mode"] for one in rounds)
            mode = min(modes, key=lambda mode: numbers[mode])
            name, fault, found = f"{seed} {mode} {numbers[mode] + 1}", "", Counter[str]()
            try:
                found = play(mode, Random(name), forks, node, min(ROUND, kills // len(modes)))
            except AssertionError as error:
                fault = str(error)
            one = {"mode": mode, "name": name, **{figure: found.pop(figure, 0) for figure in FIGURES}}
            one |= {"kills": dict(found), "fault": fault, "seconds": round(time.monotonic() - began, 1)}
            files.replace_file(file, json.dumps([*rounds, one], indent=1))
            rounds.append(one)
            shutil.rmtree(folder / "forks")
            print(f"{name}: {fault or 'nothing lost'}, {found.total()} kills", flush=True)
        for mode in modes:
            mine = [one for one in rounds if one["mode"] == mode]
            total = sum((Counter(one["kills"]) for one in mine), Counter[str]())
            sums = [f"{sum(one[name] for one in mine):,.0f} {name}" for name in (*FIGURES, "seconds")]
            print(f"{mode}: {total.total():,} kills ({dict(total)}), {', '.join(sums)}")
        caught = {twin: fault_of(twin, forks) for twin in TWINS}
    for twin, fault in caught.items():
        print(f"twin {twin}: {'caught' if fault == TWINS[twin] else 'SURVIVED'} ({fault})")
    return caught == TWINS and not any(one["fault"] for one in rounds)


@click.command()
@click.option("--kills", default=1000, show_default=True, help="So many at least, over all modes.")
@click.option("--seed", default=1, show_default=True, help="Draws what happens, and when who dies.")
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), default=MODES, help="Only these.")
@click.option("--resume", type=click.Path(path_type=Path), help="Keep the rounds in this file, and go on.")
def kills(kills: int, seed: int, modes: tuple[str, ...], resume: Path | None) -> None:
    """Kill passes, workers and commands at any moment; nothing is lost, and each repeat is explained."""
    gc.enable()  # The tests' own settings, which come with the import, leave it to pytest.
    with TemporaryDirectory() as folder:
        is_proved = run(kills, seed, modes, resume or Path(folder) / "rounds", Path(folder))
    databases.drop_all()
    sys.exit(0 if is_proved else 1)
