"""`scripts/proof mutants` finds a change that no test notices, unless a reason explains it."""

from pathlib import Path

import pytest

from proof import mutants
from proof.mutants import MODULES, Change

PROGRAM = '''"""When to try again."""

NETWORKS = (
    "10.0.0.0/8",
)


def wait(made: int, first: float) -> float:
    """Return the seconds to wait."""
    return min(first * made, 60)
'''
TEST = """from guestbook import retry


def test_a_wait_grows() -> None:
    assert retry.wait(2, 10) == 20
"""
UNEXPLAINED = "SURVIVED: - return min(first * made, 60) + return min(first * made, 61)"


def prove(folder: Path, monkeypatch: pytest.MonkeyPatch, *reasons: str) -> None:
    """Mutate a program of one function."""
    (folder / "guestbook").mkdir()
    (folder / "guestbook/__init__.py").touch()
    (folder / "guestbook/retry.py").write_text(PROGRAM)
    (folder / "test_retry.py").write_text(TEST)
    (folder / "setup.cfg").touch()
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the test
    monkeypatch.setattr(mutants, "ROOT", folder)
    monkeypatch.setattr(mutants, "COPIED", ("guestbook", "test_retry.py", "setup.cfg"))
    monkeypatch.setattr(mutants, "PYTEST", ("-p", "no:cacheprovider"))
    monkeypatch.setattr(
        mutants, "OUTSIDE", (("guestbook/retry.py", "guestbook/retry.py", r'\n(    "[0-9./]+",)', ""),)
    )
    modules = {"guestbook/retry.py": {"tests": "test_retry.py"} | dict.fromkeys(reasons, "")}
    monkeypatch.setattr(mutants, "MODULES", modules)
    assert mutants.mutants.callback
    mutants.mutants.callback(("guestbook/retry.py",), False)


@pytest.mark.needs("mutmut")
def test_a_mutant_that_no_test_notices_needs_a_reason_and_a_reason_needs_such_a_mutant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        prove(tmp_path, monkeypatch, '"10.0.0.0/8"', "max(first")
    counts, *lines = capsys.readouterr().out.splitlines()
    assert counts == "guestbook/retry.py: mypy refuses 4, tests kill 1, 1 survive, 0 of them words"
    assert lines == [UNEXPLAINED, "no mutant survives for the reason of: max(first"]


SURVIVORS = [
    Change("guestbook/retry.py", "return min(first * made, 60)", f"return {instead}")
    for instead in ("1", "2")
]


@pytest.mark.parametrize(("reasons", "unexplained", "unused"), [
    ([], SURVIVORS, []),
    (["first * made"], [], []),
    (["first * made + return 1"], SURVIVORS[1:], []),
    (["first * made + return 1", "60 + 2", "first + return 3"], [], ["first + return 3"]),
])  # fmt: skip
def test_a_reason_explains_each_survivor_that_has_its_texts(
    reasons: list[str], unexplained: list[Change], unused: list[str]
) -> None:
    sentences = [f"no mutant survives for the reason of: {one}" for one in unused]
    assert mutants.compared(SURVIVORS, reasons) == (unexplained, sentences)


@pytest.mark.parametrize("module", MODULES.sections())
def test_each_reason_names_a_line_of_the_program_and_says_why(module: str) -> None:
    files = {module, *(rule[1] for rule in mutants.OUTSIDE if rule[0] == module)}
    program = " ".join(" ".join((mutants.ROOT / file).read_text() for file in files).split())
    for text, reason in MODULES[module].items():
        assert reason
        if text.endswith("tests"):
            assert all((mutants.ROOT / one).exists() for one in reason.split())
        else:
            assert text.partition(" + ")[0] in program
