"""What makes the suite quick: the order of tests, files in memory, and what is computed once for all apps."""

import gc
import os
import tempfile
from typing import Any, ClassVar

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from sqlalchemy.orm import Mapper
from werkzeug import security
from werkzeug.routing import Rule

from guestbook.auth import login
from guestbook.lib.encryption import Keyring
from guestbook.storage import column_types
from guestbook.web import inbound_webhook

# Folders and files that wait much, the longest first.
LONG = (
    "tests/background/celery/",
    "tests/system/browser/",
    "tests/system/tutorial/",
    "tests/system/test_several_machines",
    "tests/system/chaos/",
    "tests/system/deploy/",
    "tests/web/api/test_fuzz",
    "tests/system/interop/",
    "tests/system/",
    "tests/storage/",
    "tests/background/",
    "tests/repo/",
    "tests/outbound/test_",
    "tests/inbound/test_killed_passes",
    "tests/cli/",
)
# What starts so runs in one process. The last two share a release.
TOGETHER = (
    ("tests/background/celery/",),
    ("tests/system/browser/",),
    ("tests/system/test_one_file", "tests/system/deploy/test_ftp"),
)
MEMORY = "/dev/shm"
COLLECT_SELDOM = (50_000, 20, 100)  # a twentieth of the tests' time would go into looking for garbage
ROOM = 2 * 1024**3  # bytes, more than all tests need at a time
MOST_STATEMENTS = 4000
HASH_METHOD = "scrypt:128:1:1"
OF_A_RULE = ("arguments", "_parts", "_trace", "_converters", "_build", "_build_unknown")  # once compiled
REAL_HASH = security.generate_password_hash
REAL_USE_KEYRING = column_types.use_keyring


# --- order and memory; these are hooks of pytest


@pytest.hookimpl(tryfirst=True)  # Else xdist has looked for the groups before they are there.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, and let each file, and what is named together, run in one process."""
    items.sort(key=lambda item: rank(item.nodeid))
    for item in items:
        group = next((starts[0] for starts in TOGETHER if item.nodeid.startswith(starts)), None)
        item.add_marker(pytest.mark.xdist_group(group or item.nodeid.partition("::")[0]))


def rank(nodeid: str) -> int:
    """Return the place of a test among the long ones, or one behind them all."""
    return next((place for place, start in enumerate(LONG) if nodeid.startswith(start)), len(LONG))


def pytest_collection_finish() -> None:
    """Let no garbage collection look again at thousands of tests and modules, which stay to the end."""
    gc.freeze()
    gc.set_threshold(*COLLECT_SELDOM)
    gc.enable()


# --- at the start of the suite


def begin() -> None:
    """Keep files in memory, collect no garbage until all tests are known, and share what is computed once."""
    gc.disable()  # what the collection of tests makes stays to the end
    keep_files_in_memory()
    share_apps()
    login.generate_password_hash = _quick_hash


def keep_files_in_memory() -> None:
    """Make temporary folders in memory where there is room and programs may run, unless TMPDIR says where."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    room = os.statvfs(MEMORY)
    if room.f_bavail * room.f_frsize > ROOM and not room.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = MEMORY
        tempfile.tempdir = None  # it was found before


def share_apps() -> None:
    """Compile URL rules, templates and SQL once for all apps of this process."""
    Flask.url_rule_class = inbound_webhook.Rule = SharedRule  # type: ignore  # in these tests alone
    Flask.jinja_options = {"bytecode_cache": SharedTemplates()}
    Mapper._compiled_cache = STATEMENTS  # for what a flush writes
    column_types.use_keyring = _use_keyring


class SharedRule(Rule):
    """A rule that takes over what an equal one of another app was parsed and compiled to."""

    _compiled: ClassVar[dict[Any, dict[str, Any]]] = {}

    def compile(self) -> None:
        defaults = tuple((self.defaults or {}).items())
        key = (self.rule, defaults, self.subdomain, self.merge_slashes, *self.map.converters.values())
        if key not in self._compiled:
            super().compile()
            self._compiled[key] = {name: vars(self)[name] for name in OF_A_RULE}
        vars(self).update(self._compiled[key])


class SharedTemplates(BytecodeCache):
    """Compiled templates by the checksum of their source."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


class SharedStatements(dict[Any, Any]):
    """Compiled SQL by the statement, the kind of database and the keys, as it encrypts with these.

    SQLAlchemy keeps it for one engine, so that each test would compile the SQL of its pages anew.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_without_engine(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self) >= MOST_STATEMENTS:  # Some tests ask for everything in every way, and once.
            self.clear()
        super().__setitem__(_without_engine(key), compiled)


STATEMENTS = SharedStatements()


def _without_engine(key: Any) -> Any:
    """Return SQLAlchemy's key of a statement with what matters of the dialect, not the engine's own one."""
    dialect, *rest = key
    keyring = getattr(dialect, column_types.KEYRING, None)
    return type(dialect), dialect.server_version_info, keyring, *rest


def _use_keyring(engine: Engine, keyring: Keyring) -> None:
    """Let the engine share its SQL; after a change of its keys nobody uses what was compiled with them."""
    if hasattr(engine.dialect, column_types.KEYRING):
        STATEMENTS.clear()
    REAL_USE_KEYRING(engine, keyring)
    engine.update_execution_options(compiled_cache=STATEMENTS)


def _quick_hash(password: str, method: str) -> str:
    """Hash a password at once, as scrypt does with other numbers."""
    assert method == "scrypt"  # the numbers of Werkzeug, which it raises with the years
    return REAL_HASH(password, method=HASH_METHOD)
