"""The demo's temporary folder, with settings that ignore the user's."""

import os
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.engine import URL

from guestbook import settings
from guestbook.lib.errors import Refused
from guestbook.settings import SETTING_PREFIX, Settings, installation, secret_key

LOCALHOST = "127.0.0.1"
FOLDER = "guestbook-demo-"
OWN_PREFIXES = (SETTING_PREFIX, "FLASK_")
IN_FILE = ("BASE_URL", "ALLOW_NETWORKS")  # what is not by default as the demo has it


@dataclass(frozen=True, slots=True)
class Workspace:
    """A data folder and the port of the server."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        """Return the book's address, without a slash at the end."""
        return f"http://{LOCALHOST}:{self.port}"

    @property
    def values(self) -> dict[str, str]:
        """Return every setting. One that is missing could come from a `.env` of the user."""
        database = URL.create("sqlite", database=str(self.folder / "guestbook.db"))
        named = {
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": database.render_as_string(),
            "SECRET_KEY": "",  # the folder has one
            "SECRET_KEY_FALLBACKS": "",
            "SECRET_KEY_FILE": "",
            "BASE_URL": self.address,
            "TRUSTED_PROXIES": "0",
            "ALLOW_NETWORKS": "127.0.0.0/8",
            "REQUIRE_HTTPS_WEBHOOKS": "false",
            "RETRY_SCHEDULE": settings.RETRY_SCHEDULE,
            "TIMEOUT": "15",
            "OUTBOUND_PROXY": "",
            "KEEP_PROCESSED_DAYS": "30",
            "KEEP_FAILED_DAYS": "90",
            "KEEP_SPAM_DAYS": "30",
            "BROKER_URL": "",
            "SMTP_URL": "",
            "MAIL_FROM": "",
            "SEND_AFTER_REQUESTS": "false",
            "LOG_FORMAT": "text",
            "METRICS_TOKEN": "",
            "PING_URL": "",
        }
        return {SETTING_PREFIX + name: value for name, value in named.items()}

    def settings(self) -> Settings:
        """Read the settings as the demo's processes do."""
        read = settings.load(self.values)
        return read if read.secret_key else replace(read, secret_key=secret_key.make(read.data_dir))

    def environ(self) -> dict[str, str]:
        """Return the environment of the demo's processes: that of the user, without their settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIXES)}
        if installation.in_checkout():  # else the package is where Python looks anyway
            path = [str(installation.CHECKOUT), *filter(None, [kept.get("PYTHONPATH")])]
            kept["PYTHONPATH"] = os.pathsep.join(path)
        return {**kept, **self.values, "FLASK_SKIP_DOTENV": "1"}

    def named_for(self, given: Collection[str]) -> dict[str, str]:
        """Return the settings that a command of the user's must name to reach this book and no other.

        `given` are the settings that the user has: they would be stronger than the folder's own `.env`.
        """
        data_dir = SETTING_PREFIX + "DATA_DIR"
        return {name: value for name, value in self.values.items() if name == data_dir or name in given}


@contextmanager
def made(port: int | None) -> Iterator[Workspace]:
    """Yield a new workspace, and remove it at the end. Raises Refused when the port is not free."""
    port = _checked(port)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER)).resolve()  # only its owner may read it
    try:
        place = Workspace(folder, port)
        names = [SETTING_PREFIX + name for name in IN_FILE]
        (folder / ".env").write_text("".join(f"{name}={place.values[name]}\n" for name in names))
        yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(port: int | None) -> int:
    """Return the port, or a free one where none is asked for."""
    try:
        with socket.create_server((LOCALHOST, port or 0)) as listener:
            return int(listener.getsockname()[1])
    except OSError:
        sentence = f"Port {port} is in use or cannot be used. Take another one, or leave out --port."
        raise Refused(sentence) from None
