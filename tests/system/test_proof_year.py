"""Some years of a simulated book keep all rules, and twins of the program break some."""

from collections.abc import Iterator

import pytest

from proof import year
from proof.year import Rules
from tests.support import simulated_year
from tests.support.simulated_year import SimulatedYear

STEPS = 40
QUICK = ("no order among the events of a comment", "an attempt that is not counted")  # to be caught


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedYear]:
    world = SimulatedYear(tmp_path_factory.mktemp("book"), Rules)
    yield world
    with world.app.app_context():
        world.engine.dispose()


@pytest.mark.parametrize("seed", ["a", "c"])
def test_all_rules_hold(world: SimulatedYear, seed: str) -> None:
    assert world.live(seed, simulated_year.drawn_steps(seed, STEPS)) == ""
    assert world.counts()["requests"] > 50


@pytest.mark.parametrize("twin", QUICK)
def test_a_twin_is_caught(world: SimulatedYear, twin: str) -> None:
    assert year.caught(world, twin)
