"""Every GUESTBOOK_ setting: its type, its default, its meaning."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values
from sqlalchemy.engine import URL, make_url

from guestbook.lib import file_access
from guestbook.settings import parsers, run_settings

PREFIX = "GUESTBOOK_"
TEST_PREFIX = "GUESTBOOK_TEST_"  # read by the test suite alone
RETRY_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400"  # seconds
SQLITE_ENDS = ("-wal", "-shm", "-journal")  # of the files beside a database
CHECKOUT = Path(__file__).resolve().parents[2]
SECRETS = ("DATABASE_URL", "SECRET_KEY", "OUTBOUND_PROXY", "BROKER_URL")  # their values appear in no message

T = TypeVar("T")


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the doors read once at the start and pass down."""

    data_dir: Path
    database_url: str
    secret_key: str
    base_url: str
    trusted_proxies: int
    allow_networks: tuple[parsers.Network, ...]
    require_https_webhooks: bool
    retry_schedule: tuple[float, ...]  # seconds before attempt 1, 2, …
    timeout: float  # seconds, for a whole attempt
    outbound_proxy: str | None
    keep_processed_days: int
    keep_failed_days: int
    broker_url: str | None
    log_format: str  # text or json

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a file of SQLite's."""
        return self.database_url.startswith("sqlite")


NAMES = {PREFIX + field.upper() for field in (*Settings.__dataclass_fields__, "secret_key_file")}


def load(environ: Mapping[str, str] | None = None, *, alone: bool = False) -> Settings:
    """Read the settings; raises SettingsError with one line that names what is wrong.

    With `alone` a `.env` in the working directory does not count.
    """
    values = given(environ, alone=alone)
    data_dir = Path(values[PREFIX + "DATA_DIR"])
    _refuse_unknown(values)
    read = _Reader({**run_settings.chosen(data_dir), **values})
    database_url = read("DATABASE_URL", _default_database(data_dir), parsers.database_url)
    _refuse_database_of_another(data_dir, database_url)
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        secret_key=_secret_key(read, data_dir),
        base_url=read("BASE_URL", "http://127.0.0.1:5000", parsers.base_url),
        trusted_proxies=read("TRUSTED_PROXIES", "0", parsers.whole_number(0, 10)),
        allow_networks=read("ALLOW_NETWORKS", "", parsers.networks),
        require_https_webhooks=read("REQUIRE_HTTPS_WEBHOOKS", "false", parsers.true_or_false),
        retry_schedule=read("RETRY_SCHEDULE", RETRY_SCHEDULE, parsers.schedule),
        timeout=read("TIMEOUT", "15", parsers.seconds(0.1, 300)),
        outbound_proxy=read("OUTBOUND_PROXY", "", parsers.proxy),
        keep_processed_days=read("KEEP_PROCESSED_DAYS", "30", parsers.whole_number(0, 36500)),
        keep_failed_days=read("KEEP_FAILED_DAYS", "90", parsers.whole_number(0, 36500)),
        broker_url=read("BROKER_URL", "", parsers.broker_url),
        log_format=read("LOG_FORMAT", "text", parsers.one_of("text", "json")),
    )


def given(environ: Mapping[str, str] | None = None, *, alone: bool = False) -> dict[str, str]:
    """Return what is set in the environment, `./.env` and the data folder's `.env`, in this order.

    The data folder is made where it is missing, and is always among it.
    """
    outer = _outer_values(os.environ if environ is None else environ, alone=alone)
    data_dir = _made_dir(_data_dir(outer))
    return {**_dotenv(data_dir / ".env"), **outer, PREFIX + "DATA_DIR": str(data_dir)}


def note_run(port: str, pid: str) -> Path:
    """Let all commands use what scripts/run uses, as long as it lives; what the owner has set is stronger."""
    values = given()
    chosen = {
        PREFIX + "BASE_URL": f"http://127.0.0.1:{port}",
        PREFIX + "ALLOW_NETWORKS": "127.0.0.0/8,::1/128",  # so that a receiver on this machine can be tried
    }
    chosen = {name: values.get(name, value) for name, value in chosen.items()}
    return run_settings.note(Path(values[PREFIX + "DATA_DIR"]), int(pid), chosen)


def _default_database(data_dir: Path) -> str:
    """Return the URL of the data folder's file; a path may have signs that mean something in a URL."""
    return URL.create("sqlite", database=str(data_dir / "guestbook.db")).render_as_string()


def _refuse_database_of_another(data_dir: Path, url: str) -> None:
    """Refuse an SQLite file that is there and cannot be written: SQLite itself does not say why."""
    file = make_url(url).database or ""
    if not url.startswith("sqlite") or file.startswith((":memory:", "file:")) or not file:
        return
    for name in (file, *(file + end for end in SQLITE_ENDS)):
        if why := file_access.why_not(data_dir / name):  # a path that begins with / stays as it is
            raise SettingsError(why)


class _Reader:
    """Gives one setting, read by the function of its type."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def __call__(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        text = self.values.get(PREFIX + name, default).strip()
        try:
            return parse(text)
        except ValueError as error:
            shown = "wrong" if name in SECRETS else repr(text)
            raise SettingsError(f"{PREFIX}{name} is {shown}: {error}.") from None


def _outer_values(environ: Mapping[str, str], *, alone: bool) -> dict[str, str]:
    values = environ if alone else {**_working_dotenv(), **environ}
    return {name: value for name, value in values.items() if name.startswith(PREFIX)}


def _working_dotenv() -> dict[str, str]:
    """Read `./.env` where this user may: cron starts anywhere, also in a folder that is closed to it."""
    if not os.access(".env", os.R_OK):
        return {}
    return _dotenv(Path(".env"))


def _dotenv(path: Path) -> dict[str, str]:
    if why := file_access.why_not(path, write=False):
        raise SettingsError(why)
    try:
        values = dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None
    if any("\0" in (value or "") for value in values.values()):
        raise SettingsError(f"{path} cannot be read: a value has a NUL byte.")
    return {name: value or "" for name, value in values.items() if name.startswith(PREFIX)}


def _refuse_unknown(values: Mapping[str, str]) -> None:
    unknown = sorted(name for name in values if name not in NAMES and not name.startswith(TEST_PREFIX))
    if unknown:
        raise SettingsError(f"Unknown setting {', '.join(unknown)}. Known are {', '.join(sorted(NAMES))}.")


def _data_dir(values: Mapping[str, str]) -> Path:
    named = values.get(PREFIX + "DATA_DIR", "").strip()
    if named:
        try:
            return Path(named).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"{PREFIX}DATA_DIR is {named!r}: {str(error).rstrip('.')}.") from None
    if not (CHECKOUT / "setup.cfg").is_file():
        # An installed package would keep the book inside its virtualenv, which people delete.
        raise SettingsError(f"{PREFIX}DATA_DIR is not set: name the folder that keeps the guestbook's data.")
    return CHECKOUT / "instance"


def _made_dir(path: Path) -> Path:
    """Make the data folder where it is missing, for nobody but its owner: it will hold secrets."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise SettingsError(f"{PREFIX}DATA_DIR is {path}: that is no folder.") from None
    except OSError as error:
        raise SettingsError(f"{PREFIX}DATA_DIR is {path}: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingsError(f"{PREFIX}DATA_DIR is {path}: this user may not write there.")
    if why := file_access.open_to_all(path):
        raise SettingsError(f"{PREFIX}DATA_DIR is {path}: {why}")
    return path


def _secret_key(read: _Reader, data_dir: Path) -> str:
    key = read("SECRET_KEY", "", parsers.secret)
    path = read("SECRET_KEY_FILE", "", Path)
    if key or str(path) != ".":
        return key or _read_key(path, f"{PREFIX}SECRET_KEY_FILE")
    return _made_key(data_dir / "secret_key")


def _made_key(path: Path) -> str:
    """Read the data folder's key; the first start writes one that only its owner can read."""
    try:
        fresh = path.with_name(f".secret_key.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            _keep_first(fresh, path)
    except OSError as error:
        raise SettingsError(f"{PREFIX}DATA_DIR is {path.parent}: {error.strerror}.") from None
    return _read_key(path, "the secret key's file")


def _keep_first(fresh: Path, path: Path) -> None:
    """Name the fresh file unless another process, started in the same moment, was first."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not path.exists():
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _read_key(path: Path, name: str) -> str:
    if reason := file_access.why_not(path, write=False):
        raise SettingsError(reason)
    try:
        return parsers.secret(path.read_text().strip() or "-")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{name} is {str(path)!r}: {why}.") from None
