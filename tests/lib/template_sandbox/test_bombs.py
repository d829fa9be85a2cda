"""No template takes more than a second and 50 MB, whatever it holds and whatever its event holds."""

import itertools
import json
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as some

from guestbook.lib import template_sandbox
from guestbook.lib.template_sandbox import TEMPLATE_STEPS, Run, TemplateFault
from guestbook.lib.template_sandbox.values import FILTERS, METHODS, TESTS
from tests.lib.template_sandbox.bombs import BOMBS, event
from tests.support.amount import examples
from tests.support.processes import ROOT

HARMLESS = {"a deep event, compared"}


@pytest.fixture(scope="module")
def ends() -> dict[str, str | None]:
    command = [sys.executable, "-m", "tests.lib.template_sandbox.bombs"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=250)
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_within_a_second_of_cpu_and_50_mb(name: str, ends: dict[str, str | None]) -> None:
    said = ends[name]
    assert said is not None, "it had to be killed"
    assert "too much memory" not in said
    assert said.endswith(".") or name in HARMLESS, "it was let through"


def expressions() -> some.SearchStrategy[str]:
    """Whatever can be written with everything that templates have."""
    names = some.sampled_from(["event", "event.text", "event.words", "event.lists", "event.deep", "a", "9"])
    leaves = names | some.sampled_from(["'x'", "[]", "{}", "none", "1.5", "(event.number)", "2"])

    def larger(part: some.SearchStrategy[str]) -> some.SearchStrategy[str]:
        return some.one_of(
            some.tuples(part, some.sampled_from(sorted(FILTERS))).map(lambda two: f"({two[0]}|{two[1]})"),
            some.tuples(part, some.sampled_from(sorted(FILTERS)), part).map(
                lambda three: f"({three[0]}|{three[1]}({three[2]}))"
            ),
            some.tuples(part, some.sampled_from(sorted(METHODS))).map(lambda two: f"{two[0]}.{two[1]}()"),
            some.tuples(part, some.sampled_from(sorted(TESTS))).map(lambda two: f"({two[0]} is {two[1]})"),
            some.tuples(
                part,
                some.sampled_from(["+", "-", "*", "/", "//", "%", "~", "==", "<", "in", "and", "or"]),
                part,
            ).map(lambda three: f"({three[0]} {three[1]} {three[2]})"),
            some.tuples(part, part).map(lambda two: f"[{two[0]}, {two[1]}]"),
            some.tuples(part, part).map(lambda two: f"{two[0]}[{two[1]}]"),
        )

    return some.recursive(leaves, larger, max_leaves=8)


def templates() -> some.SearchStrategy[str]:
    prints = expressions().map(lambda one: f"{{{{ {one} }}}}")
    sets = expressions().map(lambda one: f"{{% set a = {one} %}}")
    leaves = prints | sets

    def larger(part: some.SearchStrategy[str]) -> some.SearchStrategy[str]:
        return some.one_of(
            some.tuples(part, part).map("".join),
            some.tuples(expressions(), part).map(
                lambda two: f"{{% for a in {two[0]} %}}{two[1]}{{% endfor %}}"
            ),
            some.tuples(expressions(), part).map(lambda two: f"{{% if {two[0]} %}}{two[1]}{{% endif %}}"),
        )

    return some.recursive(leaves, larger, max_leaves=5)


LARGE = {"event": event()}


@settings(max_examples=examples(8), deadline=None)
@given(templates())
def test_whatever_is_written_ends_within_its_steps(source: str) -> None:
    """Python's own count of the calls shows that nothing is done which no step was paid for."""
    try:
        template = template_sandbox.parse(source)
    except TemplateFault:
        return
    run, calls = Run(LARGE), itertools.count()
    sys.setprofile(lambda *_: next(calls))
    try:
        with suppress(TemplateFault, TypeError, ValueError, ArithmeticError):
            run.template(template)
    finally:
        sys.setprofile(None)
    steps = min(TEMPLATE_STEPS, TEMPLATE_STEPS - run.budget.left)
    assert next(calls) <= 40 * steps + 1000


@settings(max_examples=examples(12), deadline=None)
@given(templates())
def test_whatever_is_written_gives_a_text_within_the_limit_or_a_sentence(source: str) -> None:
    said = outcome(source)
    assert len(said) <= template_sandbox.OUTPUT_LIMIT
    assert " at 0x" not in said


def outcome(source: str) -> str:
    try:
        return template_sandbox.render(source, LARGE).text
    except TemplateFault as fault:
        return str(fault)
