"""Each app compiles its URL rules, templates and SQL anew. The tests of a process compile them once."""

from typing import Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.engine.default import DefaultDialect as Dialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from guestbook.storage.column_types import KEYRING
from guestbook.storage.database import db

STATEMENTS = LRUCache[Any, Any](1000)


def share(app: Flask) -> None:
    """Let an app use the templates and statements that others have compiled."""
    app.jinja_env.bytecode_cache = TEMPLATES
    with app.app_context():
        db.engine._compiled_cache = STATEMENTS


def share_url_rules() -> None:
    """Let all apps use what one rule was compiled to."""
    compile_one = Rule.compile
    known: dict[object, dict[str, Any]] = {}

    def once(rule: Rule) -> None:
        defaults = tuple(sorted((rule.defaults or {}).items()))
        key = (rule.rule, rule.host, rule.subdomain, rule.merge_slashes, defaults)
        if key not in known:
            compile_one(rule)
            known[key] = {name: getattr(rule, name) for name in ("_parts", "_trace", "_converters")}
            known[key] |= {name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")}
            return
        for name, value in known[key].items():
            setattr(rule, name, value.__get__(rule) if callable(value) else value)
        rule.arguments.update(rule._converters)

    Rule.compile = once  # type: ignore[method-assign]  # in this process alone


def share_statements() -> None:
    """Let all engines on one kind of database use the SQL that a statement was compiled to."""
    Dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]  # likewise
    Dialect.__eq__ = _compiles_alike  # type: ignore[method-assign,assignment]  # likewise


def _compiles_alike(one: Dialect, other: object) -> bool:
    """Whether they write the same SQL, and encrypt with the same keys."""
    facts = ("server_version_info", KEYRING)
    same = all(getattr(one, name, None) == getattr(other, name, None) for name in facts)
    return type(one) is type(other) and same


class _Templates(BytecodeCache):
    """Compiled templates by the checksum of their source."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = _Templates()
