"""How the guestbook came to this host, where it keeps the book's data, and what its owner types there."""

import os
import pwd
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from guestbook.lib import files
from guestbook.settings.environment import SETTING_PREFIX, SettingsError

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = "guestbook"
FLASK_PROGRAM = "flask"  # it takes an option that names the program
ONE_FILE = (
    "_GUESTBOOK_FILE"  # the environment's name for the path of guestbook.pyz, which sets it at its start
)


def in_checkout() -> bool:
    """Whether the package lies in a checkout, and not among the packages of a Python."""
    return (CHECKOUT / "setup.cfg").is_file()


def one_file() -> Path | None:
    """Return the path of guestbook.pyz, if the program runs from it."""
    return Path(path) if (path := os.environ.get(ONE_FILE)) else None


def typed(words: str) -> str:
    """Return a command as the reader must type it here: a program's name alone is often not on the path."""
    program = Path(sys.argv[0])
    if file := one_file():
        python = "python3" if shutil.which("python3") == sys.executable else sys.executable
        return f"{shlex.join((python, str(program if program.resolve() == file else file)))} {words}"
    if program.name not in (PROGRAM, FLASK_PROGRAM):  # a web server, or a pass that `run` has started
        program = Path(FLASK_PROGRAM) if in_checkout() else _program_path()
    is_on_path = shutil.which(program.name) == str(program)
    return _call(program.name if is_on_path else str(program), words)


def named(words: str) -> str:
    """Return a command without any path, for a page that everybody may see."""
    return _call(FLASK_PROGRAM, words) if in_checkout() else f"{program_name()} {words}"


def program_name() -> str:
    """Return how the program's help names it."""
    file = one_file()
    return f"python3 {shlex.quote(file.name)}" if file else PROGRAM


def install_command(extra: str) -> str:
    """Return what installs the packages of an extra beside this program."""
    if not in_checkout():
        python = shlex.quote(sys.executable if one_file() else str(Path(sys.prefix, "bin/python")))
        # uv's environments have no pip.
        has_pip = one_file() or find_spec("pip")
        pip = f"{python} -m pip install" if has_pip else f"uv pip install --python {python}"
        return f"{pip} {' '.join(map(shlex.quote, _packages(extra)))}"  # no index has the guestbook itself
    if Path(sys.prefix) == CHECKOUT / ".venv":
        return f"{shlex.quote(str(CHECKOUT / 'scripts/install'))} {extra}"
    pip = shlex.quote(str(Path(sys.prefix, "bin/pip")))
    return f"{pip} install --editable {shlex.quote(f'{CHECKOUT}[{extra}]')}"


def _packages(extra: str) -> list[str]:
    """Return what an extra asks for, as `psycopg[binary]>=3.2`."""
    from importlib import metadata  # imported here, because cron starts each minute

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


DATA_DIR = SETTING_PREFIX + "DATA_DIR"
NO_ACCESS = "this user may not write there"
NO_HOME = (
    f"{DATA_DIR} is not set, and this user has no home folder: name the folder that keeps the book's data."
)


def choose_folder(values: Mapping[str, str]) -> Path:
    """Return the folder that the settings name, or else the default of this installation."""
    named = values.get(DATA_DIR, "").strip()
    if named:
        try:
            return Path(named).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"{DATA_DIR} is {named!r}: {str(error).rstrip('.')}.") from None
    return _default_folder(os.environ)


def _default_folder(environ: Mapping[str, str]) -> Path:
    """Return the instance folder of a checkout, or the user's data folder; raises SettingsError.

    An installed package must not keep the book inside its virtualenv, which people delete. The user's data
    folder is that of the XDG Base Directory Specification.
    """
    if in_checkout():
        return CHECKOUT / "instance"
    data_home = Path(environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():  # the specification ignores such a path
        try:
            home = environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            raise SettingsError(NO_HOME) from None
        data_home = Path(home, ".local/share")
    return (data_home / PROGRAM).resolve()


def hides_settings(path: Path) -> bool:
    """Whether the folder may hold a `.env` that this user cannot read."""
    dotenv = path / ".env"
    try:
        is_closed = path.is_dir() and not os.access(path, os.R_OK | os.X_OK)
        return is_closed or (dotenv.exists() and not os.access(dotenv, os.R_OK))
    except PermissionError:  # a folder above it is closed
        return True


def make_folder(path: Path) -> None:
    """Make the folder if it is missing, readable by its owner alone: it will hold secrets."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(path, os.R_OK) and not any(path.iterdir()):
            for folder in path.parents:  # Some may be new, also those of an earlier start that was killed.
                files.sync_folder(folder)
    except FileExistsError:
        raise SettingsError(f"{DATA_DIR} is {path}: that is no folder.") from None
    except OSError as error:
        raise SettingsError(f"{DATA_DIR} is {path}: {error.strerror}.") from None
    # On a disk that is mounted read-only the book can still be read.
    if not os.access(path, os.W_OK | os.X_OK) and not files.is_read_only(path):
        raise SettingsError(f"{DATA_DIR} is {path}: {NO_ACCESS}.")
    if problem := files.open_to_all(path):
        raise SettingsError(f"{DATA_DIR} is {path}: {problem}")


def crontab_line(data_dir: Path) -> str:
    """Return this installation's line for the crontab, in which % would end a command."""
    try:
        is_found = data_dir == _default_folder({})  # cron gives a command no settings
    except SettingsError:
        is_found = False
    named = "" if is_found else f"GUESTBOOK_DATA_DIR={shlex.quote(str(data_dir))} "
    program = Path(sys.prefix, "bin", FLASK_PROGRAM) if in_checkout() else _program_path()
    file = one_file()
    command = shlex.join((sys.executable, str(file), "cron")) if file else _call(str(program), "cron")
    return f"* * * * * {named}{command}".replace("%", "\\%")
