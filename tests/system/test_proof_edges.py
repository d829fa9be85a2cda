"""Some hundred edges of the model are driven on each database, and a defect in the program is found."""

from functools import cache

import pytest
from click.testing import CliRunner

from guestbook.queue import claims
from proof import edges

printed = cache(edges.printed)  # TLC takes two seconds to start.


def driven(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(edges, "printed", printed)
    words = ["--drawn", "--count", "150", "--seed", "5", "--database", name]
    done = CliRunner().invoke(edges.edges, words, catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.needs("tlc")
@pytest.mark.parametrize("name", edges.DATABASES)
def test_the_program_does_what_the_model_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = driven(name, monkeypatch)
    assert f"{name}: 150 edges driven, 0 differ, " in said
    assert code == 0


@pytest.mark.needs("tlc")
def test_a_record_without_its_token_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "owned", lambda _, __, leased: leased)
    code, said = driven("sqlite", monkeypatch)
    assert "Edge(action='Release'" in said
    assert code == 1
