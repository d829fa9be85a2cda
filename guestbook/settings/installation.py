"""How the guestbook came to this host, as a checkout or installed by name, and what its owner types there."""

import shlex
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = "guestbook"
FLASK_PROGRAM = "flask"  # its equivalent, with an option


def in_checkout() -> bool:
    """Whether the package lies in a checkout, and not among the packages of a Python."""
    return (CHECKOUT / "setup.cfg").is_file()


def typed(words: str) -> str:
    """Return a command as the reader must type it here: a program's name alone is often not on the path."""
    program = Path(sys.argv[0])
    if program.name not in (PROGRAM, FLASK_PROGRAM):  # a web server, or a pass that `run` has started
        program = Path(FLASK_PROGRAM) if in_checkout() else _program_path()
    is_on_path = shutil.which(program.name) == str(program)
    return _call(program.name if is_on_path else str(program), words)


def named(words: str) -> str:
    """Return a command without any path, for a page that everybody may see."""
    return _call(FLASK_PROGRAM if in_checkout() else PROGRAM, words)


def crontab_command() -> str:
    """Return the command of this installation for the crontab, with its whole path."""
    return _call(str(Path(sys.prefix, "bin", FLASK_PROGRAM) if in_checkout() else _program_path()), "cron")


def install_command(extra: str) -> str:
    """Return what installs the packages of an extra beside this program."""
    if not in_checkout():
        return f"{_pip()} {' '.join(map(shlex.quote, _packages(extra)))}"  # no index has the guestbook itself
    if Path(sys.prefix) == CHECKOUT / ".venv":
        return f"{shlex.quote(str(CHECKOUT / 'scripts/install'))} {extra}"
    pip = shlex.quote(str(Path(sys.prefix, "bin/pip")))
    return f"{pip} install --editable {shlex.quote(f'{CHECKOUT}[{extra}]')}"


def _pip() -> str:
    """Return what installs into this Python; uv's environments have no pip."""
    python = shlex.quote(str(Path(sys.prefix, "bin/python")))
    return f"{python} -m pip install" if find_spec("pip") else f"uv pip install --python {python}"


def _packages(extra: str) -> list[str]:
    """Return what an extra asks for, as `psycopg[binary]>=3.2`."""
    from importlib import metadata  # here: cron starts each minute

    try:
        required = metadata.requires(PROGRAM) or []
    except metadata.PackageNotFoundError:  # somebody has copied the package
        required = []
    parts = [line.replace("'", '"').partition(";") for line in required]
    return [name.strip() for name, _, marker in parts if f'extra == "{extra}"' in marker]


def _call(program: str, words: str) -> str:
    option = f" --app {PROGRAM}" if Path(program).name == FLASK_PROGRAM else ""
    return f"{shlex.quote(program)}{option} {words}"


def _program_path() -> Path:
    """Return where pip has put the program, which also differs for `pip install --user`."""
    folders = (sysconfig.get_path("scripts"), sysconfig.get_path("scripts", "posix_user"))
    found = (Path(folder, PROGRAM) for folder in folders)
    return next((path for path in found if path.exists()), Path(PROGRAM))
