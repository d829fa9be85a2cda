"""Every GUESTBOOK_ setting: its type, its default, its meaning."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from guestbook.lib.encryption import Keyring
from guestbook.settings import database_url, environment, installation, parsers, secret_key
from guestbook.settings.environment import SETTING_PREFIX, NotNow, SettingsError
from guestbook.settings.installation import DATA_DIR

__all__ = [
    "RETRY_SCHEDULE",
    "SETTING_NAMES",
    "SETTING_PREFIX",
    "NotNow",
    "Settings",
    "SettingsError",
    "load",
    "read_all",
]

TEST_PREFIX = "GUESTBOOK_TEST_"  # read by the test suite alone
ALIKE = 0.85  # the share that two names have in common when one is a slip
WEB, AMQP = ("http", "https"), ("amqp", "amqps")  # schemes of addresses
RETRY_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400"  # seconds

Environ = Mapping[str, str] | None  # None for that of this process


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, read once at the start. The field `timeout` is the setting GUESTBOOK_TIMEOUT."""

    data_dir: Path  # holds the database, the secret key and the locks
    database_url: str
    secret_key: str  # signs cookies and forms, encrypts secrets; secret_key_file names its file
    secret_key_fallbacks: tuple[str, ...]  # older keys, which still verify and decrypt
    base_url: str  # where visitors see the book; links begin with it
    trusted_proxies: int  # the number of proxies before this server
    allow_networks: tuple[parsers.Network, ...]  # private ones that webhooks may reach
    require_https_webhooks: bool
    retry_schedule: tuple[float, ...]  # seconds before attempt 1, 2, …
    timeout: float  # seconds, for a whole attempt
    outbound_proxy: str | None  # the proxy of all webhooks
    smtp_url: str | None  # the server that takes e-mail to the owner
    mail_from: str | None  # the address that it comes from
    keep_processed_days: int
    keep_failed_days: int
    keep_spam_days: int
    broker_url: str | None  # the RabbitMQ of `relay`
    send_after_requests: bool  # for hosts without cron: web requests do its work at their end
    ping_url: str | None  # a monitor that notices each pass of cron
    log_format: str  # text or json
    metrics_token: str  # the token of /metrics, which is not there without one

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
    SETTING_PREFIX + field.upper() for field in (*Settings.__dataclass_fields__, "secret_key_file")
}


def load(environ: Environ = None, *, alone: bool = False, for_doctor: bool = False) -> Settings:
    """Read the settings; raises SettingsError with one line that names the wrong one.

    With `alone` a `.env` in the working directory does not count. A new book has no secret key. For doctor
    nothing is made, and files that are missing or closed to this user are no error: it looks at them itself.
    """
    values = _known(read_all(environ, alone=alone, for_doctor=for_doctor))
    data_dir = Path(values[DATA_DIR])
    read = environment.Reader({**environment.chosen_folder(data_dir), **values})
    return Settings(
        data_dir=data_dir,
        database_url=_database(read, data_dir, for_doctor),
        secret_key=secret_key.read(read, data_dir, for_doctor=for_doctor),
        secret_key_fallbacks=secret_key.fallbacks(read, data_dir, for_doctor=for_doctor),
        base_url=read("BASE_URL", "http://127.0.0.1:5000", parsers.base_url),
        trusted_proxies=read("TRUSTED_PROXIES", "0", parsers.whole_number(0, 10)),
        allow_networks=read("ALLOW_NETWORKS", "", parsers.networks),
        require_https_webhooks=read("REQUIRE_HTTPS_WEBHOOKS", "false", parsers.true_or_false),
        retry_schedule=read("RETRY_SCHEDULE", RETRY_SCHEDULE, parsers.schedule),
        timeout=read("TIMEOUT", "15", parsers.seconds(0.1, 300)),
        outbound_proxy=read("OUTBOUND_PROXY", "", parsers.address("http://proxy.example:3128", *WEB)),
        smtp_url=read("SMTP_URL", "", parsers.smtp_url),
        mail_from=read("MAIL_FROM", "", parsers.mail_from),
        keep_processed_days=read("KEEP_PROCESSED_DAYS", "30", parsers.whole_number(0, 36500)),
        keep_failed_days=read("KEEP_FAILED_DAYS", "90", parsers.whole_number(0, 36500)),
        keep_spam_days=read("KEEP_SPAM_DAYS", "30", parsers.whole_number(0, 36500)),
        broker_url=read("BROKER_URL", "", parsers.address("amqp://user:password@host:5672/vhost", *AMQP)),
        send_after_requests=read("SEND_AFTER_REQUESTS", "false", parsers.true_or_false),
        ping_url=read("PING_URL", "", parsers.address("https://hc-ping.com/your-uuid", *WEB)),
        log_format=read("LOG_FORMAT", "text", parsers.one_of("text", "json")),
        metrics_token=read("METRICS_TOKEN", "", parsers.secret),
    )


def read_all(environ: Environ = None, *, alone: bool = False, for_doctor: bool = False) -> dict[str, str]:
    """Return the text of all that is set. The data folder is always in it, and is made if it is missing."""
    outer = environment.of_process(os.environ if environ is None else environ, with_dotenv=not alone)
    data_dir = installation.choose_folder(outer)
    if not for_doctor:
        installation.make_folder(data_dir)
    is_hidden = for_doctor and installation.hides_settings(data_dir)
    inner = {} if is_hidden else environment.of_file(data_dir / ".env")
    return {**inner, **outer, DATA_DIR: str(data_dir)}


def _database(read: environment.Reader, data_dir: Path, for_doctor: bool) -> str:
    url = read("DATABASE_URL", database_url.of_file(data_dir / "guestbook.db"), database_url.parse)
    if not for_doctor:
        database_url.check_access(data_dir, url)
    return url


def _known(values: dict[str, str]) -> dict[str, str]:
    """Return the values; raises SettingsError where one is not a setting."""
    unknown = [name for name in sorted(set(values) - SETTING_NAMES) if not name.startswith(TEST_PREFIX)]
    if unknown:
        known = f"Known are {', '.join(sorted(SETTING_NAMES))}."
        raise SettingsError(f"Unknown setting {', '.join(unknown)}. {_suggestion(unknown) or known}")
    return values


def _suggestion(unknown: list[str]) -> str:
    """Ask for the settings that are written much alike, or return nothing where one has none."""
    from difflib import get_close_matches  # imported here, because cron starts each minute

    close = [get_close_matches(name.upper(), SETTING_NAMES, n=1, cutoff=ALIKE) for name in unknown]
    return f"Did you mean {', '.join(one[0] for one in close)}?" if all(close) else ""
