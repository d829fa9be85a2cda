"""A release of this tree, which is made once for all tests of a process that want one."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scripts import release_files
from tests.support import processes
from tests.support.processes import ROOT

EPOCH = "1767225600"
LOCKED = dict(release_files.LOCKED.findall((ROOT / "requirements.txt").read_text()))
# What must not show in the files of a release.
SURROUNDINGS = [
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "umask": "077"},
    {"PYTHONHASHSEED": "2", "TZ": "UTC", "umask": "022"},
]

COMMITTER = {
    **{f"GIT_{who}_{what}": "suite" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": f"{EPOCH} +0000" for who in ("AUTHOR", "COMMITTER")},
}
# Let a copy look installed with the Python of the suite, and commit it.
PREPARE = """
set -e
mkdir -p .venv/bin
printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$1" >.venv/bin/python
chmod +x .venv/bin/python
sed -i "$2" requirements.txt
echo "$PWD $(.venv/bin/python -V 2>&1)" >.venv/home
echo "$(cat setup.cfg pyproject.toml requirements.txt | cksum) " >.venv/installed
git init -q
git add -A
git commit -qm release
"""


def start_release(tree: Path, umask: str = "022", **more: str) -> "subprocess.Popen[str]":
    """Start scripts/release in a copy of the checkout; it writes to `dist`."""
    environ = processes.clean_environ(**more, **COMMITTER)
    # It locks the versions that this suite runs with, which need not be those of requirements.txt.
    installed = ";".join(f"s/^{name}==[^ ]*/{name}=={metadata.version(name)}/" for name in LOCKED)
    prepare = ["sh", "-c", PREPARE, "sh", sys.executable, installed]
    subprocess.run(prepare, cwd=tree, env=environ, check=True)
    command = ["sh", "-c", f"umask {umask}; exec scripts/release"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=tree, env=environ, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two releases of this tree, made side by side and in different surroundings."""
    folder = tmp_path_factory.mktemp("builds")
    trees = [processes.copy_of_the_checkout(folder / f"tree{number}") for number in range(len(SURROUNDINGS))]
    running = [start_release(tree, **more) for tree, more in zip(trees, SURROUNDINGS, strict=True)]
    printed = [one.communicate(timeout=120) for one in running]
    assert [one.returncode for one in running] == [0, 0], printed
    made = [tree / "dist" for tree in trees]
    assert [sums for sums, _ in printed] == [(to / "SHA256SUMS").read_text() for to in made]
    return made
