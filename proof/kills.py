"""Kill passes, workers and commands by SIGKILL, thousands of times, at moments that a seed draws.

A round has a book on one of the databases. Passes on three hosts, or a relay and two workers, die and are
replaced: tests/support/killed_passes.py says what must hold. Then the commands die: killed_commands.py there.
"""

import gc
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Any

import click

from guestbook.background.doctor import State, examination
from guestbook.lib import files
from guestbook.settings import load
from proof.power_scenarios import EXPECTED
from tests.support import databases, rabbitmq, sent_payloads
from tests.support.forks import Forks, open_forks
from tests.support.killed_commands import CommandsOfBook, KilledCommands
from tests.support.killed_passes import KilledPasses, opened_book

MODES = (*databases.MODES, BROKER := "rabbitmq")
ROUND, SHARE_OF_BROKER = 90, 4  # Kills; a worker takes seconds to start, so rounds with a broker are smaller.
KILLS_OF_TWIN, TRIES = 12, 8
FIGURES = "requests", "repeats", "overtaken by a deletion"


def play(mode: str, luck: Random, forks: Forks, node: rabbitmq.Node, size: int) -> Counter[str]:
    """Play a round of about that many kills, and return how many there were, and the figures."""
    on, wanted, more = mode, {"pass": 3}, {}
    if mode == BROKER:
        on, wanted, size = luck.choice(databases.KINDS), {"relay": 1, "worker": 2}, size // SHARE_OF_BROKER
        more["GUESTBOOK_BROKER_URL"] = node.vhost().url
    commands = KilledCommands(forks, luck)
    with opened_book(on, forks, **more) as (book, environ):
        passes = KilledPasses(book, forks, environ, luck, wanted)
        found = passes.play(max(2, size * 4 // 5))
        if mode != BROKER:
            CommandsOfBook(mode, book, environ, commands).play(max(1, size // 25))
        problems = [one for one in examination.examine(load(environ)) if one.state is State.PROBLEM]
        assert not [one for one in problems if one.subject in EXPECTED], problems
    assert not (faults := sent_payloads.take_faults()), faults
    return found + passes.kills + commands.kills


# Of tests/support/kill_points.py, each with the begin of what its defect must lead to.
TWINS = {"recorded_first": "lost: ", "without_lease": "unexplained: ", "without_order": "out of order: "}


def is_caught(twin: str, forks: Forks) -> bool:
    """Play the passes with a defect until its own fault is found."""
    for number in range(TRIES):
        with opened_book("sqlite-wal", forks, GUESTBOOK_TEST_TWIN=twin) as (book, environ):
            passes = KilledPasses(book, forks, environ, Random(f"{twin} {number}"), {"pass": 3})
            try:
                passes.play(KILLS_OF_TWIN)
            except AssertionError as error:
                if str(error).startswith(TWINS[twin]):
                    return True
    return False


def run(kills: int, seed: int, modes: tuple[str, ...], file: Path, folder: Path) -> bool:
    """Play rounds until so many kills are done; return whether nothing was lost, and each twin was caught."""
    rounds: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    with open_forks(folder / "forks") as forks, rabbitmq.open_node(folder) as node:
        if BROKER in modes:
            node.start()
        while sum(sum(one["kills"].values()) for one in rounds) < kills:
            began, numbers = time.monotonic(), Counter(one["mode"] for one in rounds)
            mode = min(modes, key=lambda mode: numbers[mode])
            name, fault, found = f"{seed} {mode} {numbers[mode] + 1}", "", Counter[str]()
            try:
                found = play(mode, Random(name), forks, node, min(ROUND, kills // len(modes)))
            except (AssertionError, ValueError):
                fault = format_exc()
            one = {"mode": mode, "name": name, **{figure: found.pop(figure, 0) for figure in FIGURES}}
            rounds.append(one | {"kills": found, "fault": fault, "seconds": time.monotonic() - began})
            files.replace_file(file, json.dumps(rounds, indent=1))
            shutil.rmtree(folder / "forks", ignore_errors=True)
            print(f"{name}: {fault or 'nothing lost'}, {found.total()} kills", flush=True)
            if fault:
                break  # A lasting fault would come again for ever.
        for mode in modes:
            mine = [one for one in rounds if one["mode"] == mode]
            total = sum((Counter(one["kills"]) for one in mine), Counter[str]())
            sums = [f"{sum(one[name] for one in mine):,.0f} {name}" for name in (*FIGURES, "seconds")]
            print(f"{mode}: {total.total():,} kills ({dict(total)}), {', '.join(sums)}")
        survivors = [twin for twin in TWINS if not is_caught(twin, forks)]
    for twin, fault in TWINS.items():
        print(f"twin {twin}: {'SURVIVED' if twin in survivors else f'caught ({fault[:-2]})'}")
    return not survivors and not any(one["fault"] for one in rounds)


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
