"""Change one line of the program in a copy, and run the tests near it: one of them must fail.

mutmut makes each mutant of the functions of the modules below. It changes nothing outside of functions, so
the conditions in the text of SQL, and the networks that are refused, are changed here. Each mutant that
survives needs a reason in proof/mutants.cfg, and each reason a survivor.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

ROOT = Path(__file__).parents[1]
MODULES = ConfigParser(delimiters=["because", "=>"], interpolation=None)
MODULES.optionxform = str  # type: ignore[assignment,method-assign]  # Python's names keep their capital letters.
MODULES.read(ROOT / "proof" / "mutants.cfg")
COPIED = ("guestbook", "tests", "proof", "scripts", "schema.sql", "setup.cfg", "pyproject.toml", "README.md")
LIMIT = 3600  # seconds for the mutants of one module
PYTEST = ("-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=20")
REFUSED = 37  # mutmut's code of a mutant that mypy refuses
KILLED = {1, 3, 24, 36, REFUSED, 152, 255, -9, -24}  # the tests failed, or took too much time
MYPY = ("--disable-error-code=unused-ignore", "--no-warn-unreachable")  # mutants may have such lines
# A condition in SQL ends where the next one begins, or the clause.
END = r'(?= AND| OR| AS| LIMIT| THEN|\)|"|\n|\{order|\{values)'
OUTSIDE = (  # a module, what is changed in it (the group), and what takes its place
    ("guestbook/queue/claims.py", rf'\b(?:WHERE|AND) \(?([^\n"]+?){END}', "TRUE"),
    ("guestbook/queue/claims.py", rf'\bOR ([^\n"]+?){END}', "FALSE"),
    ("guestbook/storage/plain_sql.py", rf"\b(?:WHERE|AND) \(?([^\n\"]+?){END}", "TRUE"),
    ("guestbook/storage/plain_sql.py", rf"\b(?:WHEN|OR) ([^\n\"]+?){END}", "FALSE"),
    ("guestbook/transport/addresses.py", r'\n(        "[0-9a-f.:/]+",[^\n]*)', ""),
)


class Change(NamedTuple):
    """A text in a module, what takes its place, and where it stands."""

    module: str
    text: str
    instead: str
    start: int = 0


@click.command()
@click.option("--module", "only", multiple=True, type=click.Choice(MODULES.sections()), help="Only this one.")
def mutants(only: tuple[str, ...]) -> None:
    """Mutate the modules that keep the promises. A mutant fails a test, or has a reason to survive."""
    is_fine = True
    for module in only or MODULES.sections():
        tests, *explained = MODULES[module]
        with TemporaryDirectory() as folder:
            place = copy_program(Path(folder))
            tried, refused, survivors = mutate(place, module, MODULES[module][tests])
            here = [change for change in outside() if change.module == module]
            survivors += [change for change in here if not is_caught(place, change, MODULES[module][tests])]
        unexplained, unused = compared(survivors, explained)
        killed = tried + len(here) - refused - len(survivors)
        click.echo(f"{module}: mypy refuses {refused}, tests kill {killed}, {len(survivors)} survive")
        for line in (
            *(f"SURVIVED: - {one.text} + {one.instead}" for one in unexplained),
            *(f"no mutant survives for the reason of: {one}" for one in unused),
        ):
            click.echo(line)
            is_fine = False
    if not is_fine:
        raise SystemExit(1)


def copy_program(place: Path) -> Path:
    """Put a copy of the program and its tests into a folder."""
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, place / name)
    return place


def mutate(place: Path, module: str, tests: str) -> tuple[int, int, list[Change]]:
    """Run mutmut over a module of a copy.

    Return the number of mutants, the number of those that mypy refuses, and those that survived.
    """
    lists = {
        "also_copy": COPIED,
        "pytest_add_cli_args_test_selection": tests.split(),
        "pytest_add_cli_args": PYTEST,
        "type_check_command": (sys.executable, "-m", "mypy", module, "--output=json", *MYPY),
    }
    settings = {"source_paths": "guestbook/", "only_mutate": module, "use_git_change_detection": "false"}
    settings |= {name: "\n    ".join(["", *values]) for name, values in lists.items()}
    with (place / "setup.cfg").open("a") as stream:
        stream.writelines(["[mutmut]\n", *(f"{name} = {value}\n" for name, value in settings.items())])
    done = run(place, "mutmut", "run", "--max-children=1")
    from mutmut.mutation.data import SourceFileMutationData  # It takes half a second.
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    with chdir(place):
        found = SourceFileMutationData(path=module)
        found.load()
        codes = found.exit_code_by_key
        if done.returncode or not codes or None in codes.values():
            raise click.ClickException(f"mutmut failed in {module}:\n{done.stdout[-3000:]}{done.stderr}")
        left = [name for name, code in codes.items() if code not in KILLED]
        survivors = [changed(module, get_diff_for_mutant(name, path=module)) for name in left]
    return len(codes), list(codes.values()).count(REFUSED), survivors


def changed(module: str, diff: str) -> Change:
    """Return the lines of a diff that go and those that come, each as one."""
    lines = diff.splitlines()[2:]
    old, new = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Change(module, old, new)


def outside() -> Iterator[Change]:
    """Yield what is changed outside of functions."""
    for module, pattern, instead in OUTSIDE:
        for found in re.finditer(pattern, (ROOT / module).read_text()):
            yield Change(module, found[1], instead, found.start(1))


def is_caught(place: Path, change: Change, tests: str) -> bool:
    """Whether one of the tests fails in a copy that has this change."""
    path = place / change.module
    text = path.read_text()
    before, after = text[: change.start], text[change.start :]
    path.write_text(before + after.replace(change.text, change.instead, 1))
    try:
        return run(place, "pytest", "-x", "-q", *PYTEST, *tests.split()).returncode == 1
    finally:
        path.write_text(text)


def run(place: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of Python in a copy, at a low priority; its tests start no processes."""
    environ = {**os.environ, "GUESTBOOK_TEST_QUICK": "1"}
    words = ["nice", sys.executable, "-m", *command]
    return subprocess.run(words, cwd=place, env=environ, capture_output=True, text=True, timeout=LIMIT)


def compared(survivors: list[Change], explained: list[str]) -> tuple[list[Change], list[str]]:
    """Return the survivors without a reason, and the reasons without a survivor."""
    met = [
        {one for one in survivors if old in one.text and new in one.instead}
        for old, _, new in (reason.partition(" + ") for reason in explained)
    ]
    unexplained = [one for one in survivors if not any(one in some for some in met)]
    return unexplained, [reason for reason, some in zip(explained, met, strict=True) if not some]
