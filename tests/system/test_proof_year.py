"""Some years of a simulated book keep all rules, and twins of the program break some."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from proof import year
from proof.year import TWINS, Rules
from tests.support import simulated_year
from tests.support.simulated_year import SimulatedYear

STEPS = 40
QUICK = (  # to be caught
    *("no order among the events of a comment", "an attempt that is not counted", "a retry too early"),
    *("retention of what is due", "a redelivery without the later ones"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedYear]:
    world = SimulatedYear(tmp_path_factory.mktemp("book"), Rules)
    world.bursts = year.FEW
    yield world
    with world.app.app_context():
        world.engine.dispose()


@pytest.mark.parametrize("seed", ["a", "b"])
def test_all_rules_hold(world: SimulatedYear, seed: str) -> None:
    assert world.live(seed, simulated_year.drawn_steps(seed, STEPS)) == ""
    assert world.counts()["requests"] > 20


@pytest.mark.parametrize("twin", QUICK)
def test_a_twin_is_caught(world: SimulatedYear, twin: str) -> None:
    assert year.caught(world, twin)


def test_a_year_that_breaks_a_rule_is_made_short(world: SimulatedYear) -> None:
    steps = simulated_year.focused_steps("short", 8)
    with patch.object(*TWINS["an attempt that is not counted"]):
        rule = world.live("short", steps)
        short = simulated_year.shortest(world, "short", steps)
        assert rule
        assert world.live("short", short) == rule
    assert [name for name, _ in short] == ["webhook", "sign"]  # Then all passes come.
