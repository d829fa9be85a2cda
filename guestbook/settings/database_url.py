"""The database's URL. SQLAlchemy is imported only for one that is no plain path: cron starts each minute."""

import re
import warnings
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestbook.lib import files
from guestbook.settings import installation
from guestbook.settings.environment import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import URL

PLAIN_SQLITE = re.compile(r"sqlite:///([0-9A-Za-z_./ +-]+)")  # nothing in it has a meaning in a URL
EXTRAS = {  # the extra that pip must install, by driver
    "sqlite": "",
    "postgresql+psycopg": "postgres",
    "mysql+pymysql": "mariadb",
    "mariadb+pymysql": "mariadb",
}
SQLITE_SUFFIXES = ("-wal", "-shm", "-journal")  # the ends of the names of the files beside a database


def parse(text: str) -> str:
    """Accept a database that the web server and cron can share, with a driver that knows its options.

    Raises ValueError, with a text that never quotes a password.
    """
    if PLAIN_SQLITE.fullmatch(text):
        return text
    url = _parts(text)
    if url.drivername not in EXTRAS:
        program = url.drivername.partition("+")[0]  # as another program names it, such as postgres
        named = next((one for one in EXTRAS if one.startswith(program)), None)
        raise ValueError(
            f"it must begin with {named}:// in place of {url.drivername}://"
            if named
            else f"the database must be one of {', '.join(EXTRAS)}"
        )
    if url.drivername == "sqlite" and ":memory:" in (url.database or ":memory:"):
        raise ValueError(
            "a database in memory is lost with its process: name a file, as in sqlite:////path/book.db"
        )
    if url.query.get("journal_mode", "wal") not in ("wal", "delete"):
        raise ValueError("journal_mode must be wal or delete")
    _check_driver(url.difference_update_query(["journal_mode"]))
    return text


def of_file(path: Path) -> str:
    """Return the URL of an SQLite file; characters with a meaning in URLs are escaped."""
    plain = f"sqlite:///{path}"
    if PLAIN_SQLITE.fullmatch(plain):
        return plain
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def plain_path(url: str) -> str | None:
    """Return the path of an SQLite file that is opened without options; None for any other database."""
    plain = PLAIN_SQLITE.fullmatch(url)
    return plain[1] if plain else None


def sqlite_file(data_dir: Path, url: str) -> Path | None:
    """Return where the file of an SQLite database is; None for a server, and for a file with options."""
    file = plain_path(url) or (_parts(url).database if url.startswith("sqlite") else None)
    if not file or file.startswith((":memory:", "file:")):
        return None
    return data_dir / file  # an absolute path stays as it is


def check_access(data_dir: Path, url: str) -> None:
    """Refuse an SQLite file that exists and cannot be written: SQLite itself does not say why.

    On a disk that is mounted read-only it is enough that it can be read.
    """
    if file := sqlite_file(data_dir, url):
        must_write = not files.is_read_only(file.parent)
        for suffix in ("", *SQLITE_SUFFIXES):
            path = file.with_name(file.name + suffix)
            if problem := files.why_not(path, write=must_write):
                raise SettingsError(problem)


def _parts(text: str) -> "URL":
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # a ValueError would quote the password
        raise ValueError("it is no database URL, such as postgresql+psycopg://user@host/name") from None


def _check_driver(url: "URL") -> None:
    """Refuse now what only the first connection would find: a missing driver, an unknown option."""
    dialect: Any = url.get_dialect()
    try:
        driver: Any = dialect.import_dbapi()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # SQLAlchemy ignores an unknown option of SQLite, and warns
            _, options = dialect(dbapi=driver).create_connect_args(url)
        if url.drivername.endswith("psycopg"):
            driver.conninfo.make_conninfo("", **dict.fromkeys(url.query, ""))
        elif url.drivername.endswith("pymysql"):
            signature(driver.connect).bind(**options)
    except ModuleNotFoundError:
        command = installation.install_command(EXTRAS[url.drivername])
        raise ValueError(f"its driver is not installed. Install it with: {command}") from None
    except Exception:  # each driver has its own errors, and their words may quote the password
        raise ValueError("an option behind its question mark is unknown or has a wrong value") from None
