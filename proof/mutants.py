"""Change one line of the program in a copy, and run the tests near it: one of them must fail.

mutmut makes each mutant of the functions of the modules in proof/mutants.cfg. The conditions in SQL, and the
networks that are refused, are outside of functions, so they are changed here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from proof.model import TWINS, Twin

ROOT = Path(__file__).parents[1]
MODULES = ConfigParser(delimiters=["because", "=>"], interpolation=None)
MODULES.optionxform = str  # type: ignore[assignment,method-assign]  # Python's names keep their capital letters.
MODULES.read(ROOT / "proof" / "mutants.cfg")
COPIED = ("guestbook", "tests", "proof", "scripts", "schema.sql", "setup.cfg", "pyproject.toml", "README.md")
LIMIT = 3600  # seconds for the mutants of one module
PYTEST = ("-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=20")
REFUSED = 37  # mutmut's code of a mutant that mypy refuses
KILLED = {1, 3, 24, 36, REFUSED, 152, 255, -9, -24}  # the tests failed, or took too much time
MYPY = ("--output=json", "--disable-error-code=unused-ignore", "--no-warn-unreachable")  # Mutants have both.
# A condition in SQL ends where the next one begins, or the clause.
END = r'(?= AND| OR| AS| LIMIT| THEN|\)|"|\n|\{order|\{values)'
WHERE, OR = rf'\b(?:WHERE|AND) \(?([^\n"]+?){END}', rf'\b(?:WHEN|OR) ([^\n"]+?){END}'
CLAIMS, ORDER = "guestbook/queue/claims.py", "guestbook/queue/comment_order.py"
ADDRESSES, SQL = "guestbook/transport/addresses.py", "guestbook/storage/plain_sql.py"
OUTSIDE = (  # a module, the file beside it, what is changed in that (the group), and what takes its place
    (CLAIMS, CLAIMS, WHERE, "TRUE"),
    (CLAIMS, CLAIMS, OR, "FALSE"),
    (ORDER, SQL, WHERE, "TRUE"),
    (ORDER, SQL, OR, "FALSE"),
    (ADDRESSES, ADDRESSES, r'\n(        "[0-9a-f.:/]+",[^\n]*)', ""),
)


class Change(NamedTuple):
    """A text in a module, what takes its place, and where it stands, or mutmut's name of the change."""

    module: str
    text: str
    instead: str
    start: int = 0
    name: str = ""

    def is_wording(self) -> bool:
        """Whether it only changes the words of a sentence that people read."""
        parts = zip(self.text.split('"'), self.instead.split('"'), strict=False)
        pairs = [(old, new.replace("XX", "")) for old, new in parts if old != new]
        return all(old.count(" ") > 1 and old.lower() == new.lower() for old, new in pairs)

    def has(self, reason: str) -> bool:
        """Whether a reason names it: by a part of its name or text, and perhaps of what takes its place."""
        old, _, new = reason.partition(" + ")
        return old in f"{self.name} {self.text}" and new in self.instead


@click.command()
@click.option("--module", "only", multiple=True, type=click.Choice(MODULES.sections()), help="Only this one.")
@click.option("--twins", is_flag=True, help="Instead, break the program as each twin of the model is broken.")
def mutants(only: tuple[str, ...], twins: bool) -> None:
    """Mutate the modules that keep the promises. A mutant fails a test, or has a reason to survive."""
    found = map(break_program, TWINS) if twins else map(prove, only or MODULES.sections())
    if not all(list(found)):
        raise SystemExit(1)


def break_program(twin: Twin) -> bool:
    """Break the line of the program that a twin of the model names; say whether its tests notice."""
    with program_copy() as place:
        change = Change(twin.file, twin.line, twin.broken_line)
        caught = is_caught(place, change, twin.tests, quick=False)
    click.echo(f"twin {twin.name}: {'caught' if caught else 'NOT CAUGHT'} by {twin.tests}")
    return caught


def prove(module: str) -> bool:
    """Mutate a module, and say whether each survivor has a reason, and each reason a survivor."""
    tests, more = (MODULES[module].get(name, "") for name in ("tests", "more tests"))
    with program_copy() as place:
        tried, refused, left = mutate(place, module, tests)
        here = list(outside(module))
        left += [change for change in here if not is_caught(place, change, tests)]
        unexplained, unused = compared(left, [one for one in MODULES[module] if not one.endswith("tests")])
        # mutmut changes functions after the import, so those that run during it need another look.
        survived = [one for one in unexplained if not (one.name and is_caught(place, one, f"{more} {tests}"))]
    explained, words = len(left) - len(unexplained), sum(one.is_wording() for one in left)
    killed = tried + len(here) - refused - len(survived) - explained
    click.echo(
        f"{module}: mypy refuses {refused}, tests kill {killed}, {explained} survive, {words} of them words"
    )
    for line in (*(f"SURVIVED: - {one.text} + {one.instead}" for one in survived), *unused):
        click.echo(line)
    return not (survived or unused)


@contextmanager
def program_copy() -> Iterator[Path]:
    """Give a folder with a copy of the program and its tests."""
    with TemporaryDirectory() as folder:
        for name in COPIED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, Path(folder, name))
        yield Path(folder)


def mutate(place: Path, module: str, tests: str) -> tuple[int, int, list[Change]]:
    """Run mutmut; return the number of mutants, the number of those that mypy refuses, and the survivors."""
    lists = {
        "also_copy": COPIED,
        "pytest_add_cli_args_test_selection": tests.split(),
        "pytest_add_cli_args": PYTEST,
        "type_check_command": (sys.executable, "-m", "mypy", module, *MYPY),
    }
    settings = (
        f"\n[mutmut]\nsource_paths = guestbook/\nonly_mutate = {module}\nuse_git_change_detection = false\n"
    )
    with (place / "setup.cfg").open("a") as stream:
        stream.write(settings + "\n".join("\n    ".join([f"{name} =", *lists[name]]) for name in lists))
    done = run(place, "mutmut", "run", "--max-children=1")
    from mutmut.mutation.data import SourceFileMutationData  # It takes half a second.
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    survivors = []
    with chdir(place):
        found = SourceFileMutationData(path=module)
        found.load()
        codes = found.exit_code_by_key
        if done.returncode or not codes or None in codes.values():
            raise click.ClickException(f"mutmut failed in {module}:\n{done.stdout[-3000:]}{done.stderr}")
        left = [name for name, code in codes.items() if code not in KILLED]
        diffs = {name: get_diff_for_mutant(name, path=module).splitlines()[2:] for name in left}
    for name, diff in diffs.items():
        old, new = (" ".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
        survivors.append(Change(module, old, new, 0, name))
    return len(codes), list(codes.values()).count(REFUSED), survivors


def outside(module: str) -> Iterator[Change]:
    """Yield what is changed outside of the functions of a module, as whole lines."""
    for file, pattern, instead in (rule[1:] for rule in OUTSIDE if rule[0] == module):
        text = (ROOT / file).read_text()
        for found in re.finditer(pattern, text):
            start, end = text.rfind("\n", 0, found.start(1)) + 1, text.find("\n", found.end(1))
            line = text[start : found.start(1)] + instead + text[found.end(1) : end]
            yield Change(file, text[start:end], line, start)


def is_caught(place: Path, change: Change, tests: str, *, quick: bool = True) -> bool:
    """Whether one of the tests fails in a copy that has this change."""
    path = place / change.module
    text = path.read_text()
    path.write_text(text[: change.start] + text[change.start :].replace(change.text, change.instead, 1))
    try:
        if change.name:
            path.write_text(text)
            run(place, "mutmut", "apply", change.name)
        return run(place, "pytest", "-x", "-q", *PYTEST, *tests.split(), quick=quick).returncode == 1
    finally:
        path.write_text(text)


def run(place: Path, *command: str, quick: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a module of Python in a copy. Quick tests use SQLite and start no processes."""
    environ = os.environ | ({"GUESTBOOK_TEST_QUICK": "1"} if quick else {})
    command = (sys.executable, "-m", *command)
    return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, timeout=LIMIT)


def compared(survivors: list[Change], reasons: list[str]) -> tuple[list[Change], list[str]]:
    """Return the survivors without a reason, and a sentence for each reason without a survivor."""
    used = {reason: [one for one in survivors if one.has(reason)] for reason in reasons}
    unexplained = [one for one in survivors if not (one.is_wording() or any(map(one.has, reasons)))]
    return unexplained, [f"no mutant survives for the reason of: {one}" for one in used if not used[one]]
