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
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may install them at this moment
        for path in (HERE / "package.json", *HERE.glob("*.mjs")):
            shutil.copy(path, FOLDER)
        done = subprocess.run([*INSTALL, *IMPATIENT], cwd=FOLDER, capture_output=True, check=False)
    return FOLDER if done.returncode == 0 else None


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
    command = [*INSTALL, *IMPATIENT, "--prefix", folder, VALIDATOR]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    jar = folder / "node_modules/vnu-jar/build/dist/vnu.jar"
    return jar if jar.exists() else None
