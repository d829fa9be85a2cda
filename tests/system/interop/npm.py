"""Packages of npm that package.json beside this file names, installed once beside Python's own."""

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "npm"
EXAMPLES = "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
INSTALL = ("npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund")
VALIDATOR = "vnu-jar@^26.9.0"
IMPATIENT = ("--prefer-offline", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")


@cache
def installed() -> Path | None:
    """Return the folder of the packages and of our programs that use them; None where they cannot be had.

    Node looks for packages beside the program that asks, so the programs are copied there.
    """
    if not (shutil.which("npm") and shutil.which("node") and os.access(sys.prefix, os.W_OK)):
        return None
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the tests may install them at this moment
        for path in (HERE / "package.json", *HERE.glob("*.mjs")):
            shutil.copy(path, FOLDER)
        return FOLDER if _are_here((HERE / "package.json").read_text(), FOLDER) else None


def _are_here(wanted: str, folder: Path, *more: str) -> bool:
    """Install the packages, unless that was done before; npm takes seconds to find that nothing is to do."""
    done = folder / "installed"
    if not (done.exists() and done.read_text() == wanted):
        done.unlink(missing_ok=True)
        command = [*INSTALL, *IMPATIENT, *more]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            return False
        done.write_text(wanted)
    return True


def examples() -> Path | None:
    """Return the file of real GitHub payloads, None where it cannot be had."""
    folder = installed()
    return folder / EXAMPLES if folder and (folder / EXAMPLES).exists() else None


def validator() -> Path | None:
    """Return the Nu validator, None where it or its Java cannot be had; its 32 MB come only where Java is."""
    if not (shutil.which("java") and installed()):
        return None
    folder = FOLDER / "validator"
    folder.mkdir(exist_ok=True)
    jar = folder / "node_modules/vnu-jar/build/dist/vnu.jar"
    _are_here(VALIDATOR, folder, "--prefix", str(folder), VALIDATOR)
    return jar if jar.exists() else None
