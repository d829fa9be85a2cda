"""The guestbook as a newcomer installs it: a wheel of this checkout in a virtual environment of its own."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import click

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def build_wheel(source: Path, to: Path) -> Path:
    """Build the wheel of a fresh checkout with the setuptools of this Python, and return it."""
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(to)!r})"
    _run(sys.executable, "-c", build, cwd=source)
    [wheel] = to.glob("guestbook-*.whl")
    return wheel


def install(wheel: Path, folder: Path, *, share_packages: bool) -> Path:
    """Install a wheel in a new virtual environment, and return the program `guestbook`.

    With `share_packages` the environment sees the packages of this Python, and nothing comes from an index.
    """
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = folder / "bin/python"
    if share_packages:
        own = Path(sysconfig.get_path("purelib"))
        # Python reads no .pth of the folder that this names, so no editable install hides the wheel.
        shared = folder / own.relative_to(sys.prefix) / "shared.pth"
        shared.write_text(f"{own}\n")
    alone = ("--no-deps", "--no-index") if share_packages else ()
    _run(*PIP, "--python", str(python), "install", *alone, str(wheel))
    return folder / "bin/guestbook"


def bare_environ(home: Path) -> dict[str, str]:
    """Return the environment of `env -i` with what every host sets."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home)}


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)} failed: {done.stderr.strip()}")
