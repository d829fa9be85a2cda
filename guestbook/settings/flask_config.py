"""Flask's own idiom, `create_app({"TESTING": True, …})`: a configuration for this one app.

Nothing of the environment and of the files `.env` counts then, so that a test never opens the real book.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from guestbook.settings import PREFIX, SettingsError

KEPT = (  # what Flask and Flask-SQLAlchemy read themselves
    *("TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS", "TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"),
    *("SQLALCHEMY_ECHO", "SQLALCHEMY_RECORD_QUERIES", "SQLALCHEMY_TRACK_MODIFICATIONS"),
)
OURS = {"SECRET_KEY": "SECRET_KEY", "SQLALCHEMY_DATABASE_URI": "DATABASE_URL"}  # and what it is called here
REPLACED = ("SQLALCHEMY_DATABASE_URI",)  # by what the database's settings make of it
INSTEAD = {
    "SERVER_NAME": "BASE_URL",
    "APPLICATION_ROOT": "BASE_URL",
    "PREFERRED_URL_SCHEME": "BASE_URL",
    "DATABASE": "DATABASE_URL",
    "DATABASE_URL": "DATABASE_URL",
}
IN_MEMORY = ("sqlite://", "sqlite:///:memory:")
SHORTEST_KEY = 16  # characters, as the setting has it
NO_FOLDER = f"A configuration without TESTING must name {PREFIX}DATA_DIR, the folder of the guestbook's data."


@dataclass(slots=True, weakref_slot=True)
class Asked:
    """What create_app was given: our settings, Flask's own, and the folder that was made for a test."""

    environ: Mapping[str, str] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def is_alone(self) -> bool:
        """Whether nothing else counts."""
        return self.environ is not None and bool(self.config)

    @property
    def kept(self) -> dict[str, Any]:
        """Return what goes into the app's configuration as it is."""
        return {name: value for name, value in self.config.items() if name not in REPLACED}


def read(given: Mapping[str, object] | None) -> Asked:
    """Part what was given to create_app; raises SettingsError for what cannot be honoured, by its name."""
    if given is None:
        return Asked()
    ours = {name: _text(value) for name, value in given.items() if name.startswith(PREFIX)}
    others = {name: value for name, value in given.items() if name not in ours and not _is_outer(name, value)}
    if not others:
        return Asked(ours)
    _refuse(others)
    testing = bool(others.get("TESTING"))
    if PREFIX + "DATA_DIR" not in ours and not testing:
        raise SettingsError(NO_FOLDER)
    for name in OURS.keys() & others.keys():
        ours.setdefault(PREFIX + OURS[name], _text(others[name]))
    asked = Asked(ours, others)
    if testing:
        _make_apart(asked, ours)
    return asked


def _refuse(others: Mapping[str, object]) -> None:
    for name in others:
        if name not in KEPT and name not in OURS:
            hint = f": use {PREFIX}{INSTEAD[name]}" if name in INSTEAD else ""
            raise SettingsError(
                f"The guestbook cannot honour {name} in its configuration{hint}. "
                f"It takes {', '.join((*OURS, *KEPT))} and the {PREFIX}… settings."
            )


def _make_apart(asked: Asked, ours: dict[str, str]) -> None:
    """Give a test a folder of its own. A database in memory becomes a file in it, which threads can share."""
    in_memory = ours.get(PREFIX + "DATABASE_URL") in IN_MEMORY
    if in_memory or PREFIX + "DATA_DIR" not in ours:
        asked.folder = Path(tempfile.mkdtemp(prefix="guestbook-"))
        weakref.finalize(asked, _remove, asked.folder, os.getpid())
        ours.setdefault(PREFIX + "DATA_DIR", str(asked.folder))
    if in_memory:
        url = URL.create("sqlite", database=str(asked.folder and asked.folder / "guestbook.db"))
        ours[PREFIX + "DATABASE_URL"] = url.render_as_string()
    if key := ours.get(PREFIX + "SECRET_KEY"):
        ours[PREFIX + "SECRET_KEY"] = key.ljust(SHORTEST_KEY, ".")  # a test's may be as short as `dev`


def _is_outer(name: str, value: object) -> bool:
    """Whether it is there because somebody gave a copy of the whole environment."""
    return os.environ.get(name) == value


def _text(value: object) -> str:
    if isinstance(value, URL):
        return value.render_as_string(hide_password=False)
    return value.hex() if isinstance(value, bytes) else str(value)


def _remove(folder: Path, pid: int) -> None:
    """Remove the folder of an app that is gone, but not at the end of a fork of its process."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
