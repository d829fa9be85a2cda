"""Flask's own idiom, `create_app({"TESTING": True, …})`: a configuration for this one app.

The environment and the files `.env` do not count then, so a test never opens the real book.
"""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guestbook.settings import SETTING_PREFIX, SettingsError, database_url
from guestbook.settings.installation import DATA_DIR
from guestbook.settings.parsers import MIN_KEY_LENGTH

FLASK_KEYS = (  # Flask and Flask-SQLAlchemy read these themselves
    *("TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS", "TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"),
    *("SQLALCHEMY_ECHO", "SQLALCHEMY_RECORD_QUERIES", "SQLALCHEMY_TRACK_MODIFICATIONS"),
)
EQUAL_SETTINGS = {  # Flask's key: ours
    "SECRET_KEY": "SECRET_KEY",
    "SECRET_KEY_FALLBACKS": "SECRET_KEY_FALLBACKS",
    "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
}
SUGGESTIONS = {  # a key that the guestbook cannot use: the setting that does the same
    "SERVER_NAME": "BASE_URL",
    "APPLICATION_ROOT": "BASE_URL",
    "PREFERRED_URL_SCHEME": "BASE_URL",
    "DATABASE": "DATABASE_URL",
    "DATABASE_URL": "DATABASE_URL",
}
IN_MEMORY = ("sqlite://", "sqlite:///:memory:")
NO_FOLDER = f"A configuration without TESTING must name {DATA_DIR}, the folder of the guestbook's data."


@dataclass(slots=True, weakref_slot=True)
class GivenConfig:
    """The argument of create_app: our settings, Flask's own, and the folder that was made for a test."""

    environ: Mapping[str, str] | None = None
    for_flask: dict[str, Any] = field(default_factory=dict)
    is_alone: bool = False  # The environment and the files `.env` do not count.
    folder: Path | None = None


def read(given: Mapping[str, object] | None) -> GivenConfig:
    """Separate our settings from Flask's; raises SettingsError that names a key the guestbook cannot use."""
    if given is None:
        return GivenConfig()
    ours = {name: _text(value) for name, value in given.items() if name.startswith(SETTING_PREFIX)}
    others = {  # the caller may have passed a copy of the whole environment
        name: value for name, value in given.items() if name not in ours and os.environ.get(name) != value
    }
    if not others:
        return GivenConfig(ours)
    for name in others:
        if name not in FLASK_KEYS and name not in EQUAL_SETTINGS:
            hint = f": use {SETTING_PREFIX}{SUGGESTIONS[name]}" if name in SUGGESTIONS else ""
            raise SettingsError(
                f"The guestbook cannot honour {name} in its configuration{hint}. "
                f"It takes {', '.join((*EQUAL_SETTINGS, *FLASK_KEYS))} and the {SETTING_PREFIX}… settings."
            )
    testing = bool(others.get("TESTING"))
    if DATA_DIR not in ours and not testing:
        raise SettingsError(NO_FOLDER)
    for name in EQUAL_SETTINGS.keys() & others.keys():
        ours.setdefault(SETTING_PREFIX + EQUAL_SETTINGS[name], _text(others[name]))
    others.pop("SQLALCHEMY_DATABASE_URI", None)  # storage.database sets it
    config = GivenConfig(ours, others, is_alone=True)
    if testing:
        _isolate(config, ours)
    return config


def _isolate(config: GivenConfig, ours: dict[str, str]) -> None:
    """Give a test a folder of its own. A database in memory becomes a file in it, which threads can share."""
    in_memory = ours.get(SETTING_PREFIX + "DATABASE_URL") in IN_MEMORY
    if in_memory or DATA_DIR not in ours:
        config.folder = Path(tempfile.mkdtemp(prefix="guestbook-"))
        weakref.finalize(config, _remove, config.folder, os.getpid())
        ours.setdefault(DATA_DIR, str(config.folder))
        if in_memory:
            ours[SETTING_PREFIX + "DATABASE_URL"] = database_url.of_file(config.folder / "guestbook.db")
    if key := ours.get(SETTING_PREFIX + "SECRET_KEY"):  # a test's may be as short as `dev`
        ours[SETTING_PREFIX + "SECRET_KEY"] = key.ljust(MIN_KEY_LENGTH, ".")


def _text(value: object) -> str:
    from sqlalchemy import URL  # imported here, because a page by CGI needs no SQLAlchemy

    if isinstance(value, URL):
        return value.render_as_string(hide_password=False)
    if isinstance(value, list | tuple):
        return json.dumps([_text(one) for one in value])
    return value.hex() if isinstance(value, bytes) else str(value)


def _remove(folder: Path, pid: int) -> None:
    """Remove the folder of an app that is gone, but not when a fork of its process ends."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
