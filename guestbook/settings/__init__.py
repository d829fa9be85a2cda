"""Every GUESTBOOK_ setting: its type, its default, its meaning."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from guestbook.lib.encryption import Keyring
from guestbook.settings import database_url, environment, installation, parsers, secret_key
from guestbook.settings.environment import SETTING_PREFIX, NotNow, SettingsError
from guestbook.settings.installation import DATA_DIR

__all__ = ["SETTING_PREFIX", "NotNow", "Settings", "SettingsError", "load", "read_all", "read_outer"]

TEST_PREFIX = "GUESTBOOK_TEST_"  # read by the test suite alone
ALIKE = 0.85  # the share that two names have in common when one is a slip
RETRY_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400"  # seconds before attempt 1, 2, …

Environ = Mapping[str, str] | None  # None for that of this process
_days = partial(parsers.whole_number, low=0, high=36500)


def _address(example: str, *schemes: str) -> Any:
    return _setting("", partial(parsers.address, example=example, schemes=schemes))


def _setting(default: str, parse: Callable[[str], Any]) -> Any:
    return field(metadata={"default": default, "parse": parse})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, read once at the start. The field `timeout` is the setting GUESTBOOK_TIMEOUT."""

    data_dir: Path  # holds the database, the secret key and the locks
    database_url: str
    secret_key: str  # signs cookies and forms, encrypts secrets; secret_key_file names its file
    secret_key_fallbacks: tuple[str, ...]  # older keys, which still verify and decrypt
    base_url: str = _setting("http://127.0.0.1:5000", parsers.base_url)  # where visitors see the book
    trusted_proxies: int = _setting("0", partial(parsers.whole_number, low=0, high=10))  # before this server
    allow_networks: tuple[parsers.Network, ...] = _setting("", parsers.networks)  # that webhooks may reach
    require_https_webhooks: bool = _setting("false", parsers.true_or_false)
    retry_schedule: tuple[float, ...] = _setting(RETRY_SCHEDULE, parsers.schedule)
    timeout: float = _setting("15", partial(parsers.seconds, low=0.1, high=300))  # for a whole attempt
    outbound_proxy: str | None = _address("http://proxy.example:3128", "http", "https")  # of all webhooks
    smtp_url: str | None = _setting("", parsers.smtp_url)  # the server that takes e-mail to the owner
    mail_from: str | None = _setting("", parsers.mail_from)  # the address that it comes from
    public_folder: Path | None = _setting("", parsers.folder)  # noqa: RUF009  of the public pages as files
    keep_processed_days: int = _setting("30", _days)
    keep_failed_days: int = _setting("90", _days)
    keep_spam_days: int = _setting("30", _days)
    broker_url: str | None = _address("amqp://user:password@host:5672/vhost", "amqp", "amqps")  # of `relay`
    send_after_requests: bool = _setting("false", parsers.true_or_false)  # for hosts without cron
    ping_url: str | None = _address("https://hc-ping.com/your-uuid", "http", "https")  # hears of each pass
    log_format: str = _setting("text", partial(parsers.one_of, words=("text", "json")))
    metrics_token: str = _setting("", parsers.secret)  # the token of /metrics, which is not there without one

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Return the secret key, and those before it."""
        return (self.secret_key, *self.secret_key_fallbacks)

    @property
    def signing_keys(self) -> list[str]:
        """Return the keys as itsdangerous wants them: the last one signs, and each of them verifies."""
        return list(reversed(self.secret_keys))

    @property
    def keyring(self) -> Keyring:
        """Return the keys that encrypt and decrypt secrets."""
        return Keyring(tuple(filter(None, self.secret_keys)))  # doctor looks also where there is no key

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a file of SQLite's."""
        return self.database_url.startswith("sqlite")


SETTING_NAMES = {
    SETTING_PREFIX + name.upper() for name in (*Settings.__dataclass_fields__, "secret_key_file")
}


def load(environ: Environ = None, *, alone: bool = False, for_doctor: bool = False) -> Settings:
    """Read the settings; raises SettingsError with one line that names the wrong one.

    With `alone` a `.env` in the working directory does not count. A new book has no secret key. For doctor
    nothing is made, and files that are missing or closed to this user are no error: it looks at them itself.
    """
    values = _known(read_all(environ, alone=alone, for_doctor=for_doctor))
    data_dir = Path(values[DATA_DIR])
    values = {**environment.chosen_folder(data_dir), **values}
    default = database_url.of_file(data_dir / "guestbook.db")
    url = environment.parsed(values, "DATABASE_URL", default, database_url.parse)
    if not for_doctor:
        database_url.check_access(data_dir, url)
    key, older = secret_key.read(values, data_dir, for_doctor=for_doctor)
    others = {
        one.name: environment.parsed(values, one.name.upper(), **one.metadata)
        for one in fields(Settings)
        if one.metadata
    }
    return Settings(data_dir, url, key, older, **others)


def read_all(environ: Environ = None, *, alone: bool = False, for_doctor: bool = False) -> dict[str, str]:
    """Return the text of all that is set. The data folder is always in it, and is made if it is missing."""
    outer = read_outer(environ, alone=alone)
    data_dir = installation.choose_folder(outer)
    if not for_doctor:
        installation.make_folder(data_dir)
    is_hidden = for_doctor and installation.hides_settings(data_dir)
    inner = {} if is_hidden else environment.of_file(data_dir / ".env")
    return {**inner, **outer, DATA_DIR: str(data_dir)}


def read_outer(environ: Environ = None, *, alone: bool = False) -> dict[str, str]:
    """Return the text of what is set outside the data folder, which is stronger than the `.env` there."""
    # Cron can start in a folder that this user may not read.
    outer = {} if alone or not os.access(".env", os.R_OK) else environment.of_file(Path(".env"))
    given = os.environ if environ is None else environ
    return outer | {name: value for name, value in given.items() if name.startswith(SETTING_PREFIX)}


def _known(values: dict[str, str]) -> dict[str, str]:
    """Return the values; raises SettingsError where one is not a setting."""
    unknown = [name for name in sorted(set(values) - SETTING_NAMES) if not name.startswith(TEST_PREFIX)]
    if not unknown:
        return values
    from difflib import get_close_matches  # imported here, because cron starts each minute

    close = [get_close_matches(name.upper(), SETTING_NAMES, n=1, cutoff=ALIKE) for name in unknown]
    known = f"Known are {', '.join(sorted(SETTING_NAMES))}."
    advice = f"Did you mean {', '.join(one[0] for one in close)}?" if all(close) else known
    raise SettingsError(f"Unknown setting {', '.join(unknown)}. {advice}")
