"""`scripts/proof` explores the model of the queue at its small size, and finds each of its broken twins."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from proof import model
from proof.model import TWINS, Twin

ROOT = Path(__file__).parents[2]
SMALL = [twin for twin in TWINS if twin.configuration == "small"]
SOME = SMALL[::4]  # TLC takes five seconds for each; the command explores all.


@pytest.mark.needs("tlc")
def test_the_small_model_holds_and_its_twins_are_caught_by_the_steps_that_lead_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model, "TWINS", SOME)
    done = CliRunner().invoke(model.model, ["--small"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    first, *lines = done.stdout.splitlines()
    assert first.startswith("small: 46189 distinct states, ")
    assert [line.partition(" by ")[0] for line in lines] == [f"twin {twin.name}: caught" for twin in SOME]
    assert all("Publish, " in line for line in lines)


@pytest.mark.needs("tlc")
@pytest.mark.parametrize(("instead", "text", "said"), [
    ("/\\ TRUE /\\ t.left > 0", "/\\ t.left > 0", "twin harmless: NOT CAUGHT\n"),
    ("", "a line that is not there", "Error: The twin harmless does not find its line in queue.tla.\n"),
    ("/\\ nonsense", "/\\ t.left > 0", "Unknown operator: `nonsense'"),
])  # fmt: skip
def test_a_twin_that_survives_or_is_no_twin_ends_it_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, instead: str, text: str, said: str
) -> None:
    configuration = (model.FOLDER / "small.cfg").read_text()
    (tmp_path / "small.cfg").write_text(configuration.replace("Events = 2", "Events = 1"))
    monkeypatch.setattr(model, "FOLDER", tmp_path)
    monkeypatch.setattr(model, "SMALL", ())
    monkeypatch.setattr(model, "TWINS", [Twin("harmless", text, instead)])
    done = CliRunner().invoke(model.model, ["--small"])
    assert done.exit_code == 1
    assert said in done.output


def test_at_least_eight_twins_have_names_of_their_own_and_each_changes_one_line() -> None:
    assert len({twin.name for twin in TWINS}) == len(TWINS) >= 8
    before = model.MODEL.read_text().splitlines()
    assert len(before) <= 150
    for twin in TWINS:
        changed = [
            pair for pair in zip(before, model.broken(twin).splitlines(), strict=True) if len({*pair}) > 1
        ]
        assert len(changed) == 1, twin.name


def test_each_twin_names_a_line_of_the_program_that_stands_there_once_and_tests_that_exist() -> None:
    for twin in TWINS:
        assert (ROOT / twin.file).read_text().count(twin.line) == 1, twin.name
        assert twin.broken_line != twin.line
        assert (ROOT / twin.tests).exists(), twin.name
