"""Every GUESTBOOK_ setting: its type, its default, its meaning."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "GUESTBOOK_"
TEST_PREFIX = "GUESTBOOK_TEST_"  # read by the test suite alone
CHECKOUT = Path(__file__).resolve().parent.parent
SECRETS = ("DATABASE_URL", "SECRET_KEY", "OUTBOUND_PROXY")  # their values appear in no message
DRIVERS = ("sqlite", "postgresql+psycopg", "mysql+pymysql", "mariadb+pymysql")
MOST_STEPS = 50  # of the retry schedule
LONGEST_STEP = 30 * 86400  # seconds
NO_BLANKS = re.compile(r"[\x21-\x7e]+")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")

T = TypeVar("T")
Network = IPv4Network | IPv6Network


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
    allow_networks: tuple[Network, ...]
    require_https_webhooks: bool
    retry_schedule: tuple[float, ...]  # seconds before attempt 1, 2, …
    timeout: float  # seconds, for a whole attempt
    outbound_proxy: str | None
    keep_processed_days: int
    keep_failed_days: int

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a file of SQLite's."""
        return self.database_url.startswith("sqlite")


NAMES = {PREFIX + field.upper() for field in (*Settings.__dataclass_fields__, "secret_key_file")}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment, `./.env` and the data folder's `.env`, in this order.

    Raises SettingsError with one line that names what is wrong.
    """
    outer = _outer_values(os.environ if environ is None else environ)
    data_dir = _made_dir(_data_dir(outer))
    values = {**_dotenv(data_dir / ".env"), **outer}
    _refuse_unknown(values)
    read = _Reader(values)
    return Settings(
        data_dir=data_dir,
        database_url=read("DATABASE_URL", f"sqlite:///{data_dir / 'guestbook.db'}", _database_url),
        secret_key=_secret_key(read, data_dir),
        base_url=read("BASE_URL", "http://127.0.0.1:5000", _base_url),
        trusted_proxies=read("TRUSTED_PROXIES", "0", _whole_number(0, 10)),
        allow_networks=read("ALLOW_NETWORKS", "", _networks),
        require_https_webhooks=read("REQUIRE_HTTPS_WEBHOOKS", "false", _true_or_false),
        retry_schedule=read("RETRY_SCHEDULE", "0,5,300,1800,7200,18000,36000,50400,72000,86400", _schedule),
        timeout=read("TIMEOUT", "15", _seconds(0.1, 300)),
        outbound_proxy=read("OUTBOUND_PROXY", "", _proxy),
        keep_processed_days=read("KEEP_PROCESSED_DAYS", "30", _whole_number(0, 36500)),
        keep_failed_days=read("KEEP_FAILED_DAYS", "90", _whole_number(0, 36500)),
    )


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


def _outer_values(environ: Mapping[str, str]) -> dict[str, str]:
    values = {**_dotenv(Path(".env")), **environ}
    return {name: value for name, value in values.items() if name.startswith(PREFIX)}


def _dotenv(path: Path) -> dict[str, str]:
    try:
        values = dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None
    return {name: value or "" for name, value in values.items() if name.startswith(PREFIX)}


def _refuse_unknown(values: Mapping[str, str]) -> None:
    unknown = sorted(name for name in values if name not in NAMES and not name.startswith(TEST_PREFIX))
    if unknown:
        raise SettingsError(f"Unknown setting {', '.join(unknown)}. Known are {', '.join(sorted(NAMES))}.")


def _data_dir(values: Mapping[str, str]) -> Path:
    named = values.get(PREFIX + "DATA_DIR", "").strip()
    if named:
        return Path(named).expanduser().resolve()
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
    return path


def _secret_key(read: _Reader, data_dir: Path) -> str:
    key = read("SECRET_KEY", "", _secret)
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
    try:
        return _secret(path.read_text().strip() or "-")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{name} is {str(path)!r}: {why}.") from None


def _secret(text: str) -> str:
    if text and len(text) < 16:
        raise ValueError("a secret key needs at least 16 characters")
    return text


def _database_url(text: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a ValueError would quote the password
        raise ValueError("it is no database URL, such as postgresql+psycopg://user@host/name") from None
    if url.drivername not in DRIVERS:
        raise ValueError(f"the database must be one of {', '.join(DRIVERS)}")
    if url.query.get("journal_mode", "wal") not in ("wal", "delete"):
        raise ValueError("journal_mode must be wal or delete")
    return text


def _base_url(text: str) -> str:
    parts = _web_address(text)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("it must be an address like https://example.org/guestbook")
    return text.rstrip("/")


def _proxy(text: str) -> str | None:
    if text and _web_address(text) is None:
        raise ValueError("it must be an address like http://proxy.example:3128")
    return text or None


def _web_address(text: str) -> SplitResult | None:
    """Take apart an address that a header can carry; None when it is none."""
    if not NO_BLANKS.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # its words would quote a proxy's password
        return None
    return parts if usable else None


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high and len(text) < 9):
            raise ValueError(f"it must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not (NUMBER.fullmatch(text) and low <= float(text) <= high):
            raise ValueError(f"it must be a number of seconds from {low:g} to {high:.0f}")
        return float(text)

    return parse


def _schedule(text: str) -> tuple[float, ...]:
    steps = [step.strip() for step in text.split(",")]
    good = [NUMBER.fullmatch(step) and float(step) <= LONGEST_STEP for step in steps]
    if len(steps) > MOST_STEPS or not all(good):
        raise ValueError(
            f"it must be 1 to {MOST_STEPS} numbers of seconds up to {LONGEST_STEP}, with commas between them"
        )
    return tuple(map(float, steps))


def _true_or_false(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text == "true"


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
