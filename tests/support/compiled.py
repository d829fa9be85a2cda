"""Each app registers its pages and compiles templates and SQL anew. The tests of a process do that once."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial, wraps
from typing import Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.engine.default import DefaultDialect as Dialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from guestbook import web
from guestbook.storage.column_types import KEYRING
from guestbook.storage.database import db

HANDLERS = (  # of an app, by the names of blueprints; those of the whole app have the name None
    *("before_request_funcs", "after_request_funcs", "teardown_request_funcs", "error_handler_spec"),
    *("template_context_processors", "url_value_preprocessors", "url_default_functions"),
)
STATEMENTS = LRUCache[Any, Any](1000)


def share(app: Flask) -> None:
    """Let an app use the templates and statements that others have compiled."""
    app.jinja_env.bytecode_cache = TEMPLATES
    with app.app_context():
        db.engine._compiled_cache = STATEMENTS


def share_pages() -> None:
    """Let all apps with all pages share what the blueprints of the first one were registered as."""
    register = web.register
    shared: list[_Pages] = []

    @wraps(register)
    def once(app: Flask, only_path: str | None = None) -> None:
        if only_path is not None:
            register(app, only_path)
        elif shared:
            with _instead(app, "register_blueprint", lambda _pages: None):
                register(app)
        else:
            register(app)
            shared.append(_Pages(app))
        if only_path is None:
            shared[0].give(app)

    web.register = once


class _Pages:
    """The blueprints of an app, with their views, rules and handlers."""

    def __init__(self, app: Flask) -> None:
        self.rules = app.url_map
        self.blueprints = dict(app.blueprints)
        self.views = {name: view for name, view in app.view_functions.items() if "." in name}
        self.handlers = {
            kind: {name: found for name, found in getattr(app, kind).items() if name in app.blueprints}
            for kind in HANDLERS
        }

    def give(self, app: Flask) -> None:
        """Let an app have them; rules that it adds later and handlers of the app itself are its own."""
        app.blueprints.update(self.blueprints)
        app.view_functions.update(self.views)
        for kind, handlers in self.handlers.items():
            getattr(app, kind).update({name: copy(found) for name, found in handlers.items()})
        app.url_map = self.rules
        app.add_url_rule = partial(self._add_own_rule, app)  # type: ignore[method-assign]  # of this app alone

    def _add_own_rule(self, app: Flask, *given: Any, **options: Any) -> None:
        """Give the app rules of its own before it gets one that others do not have."""
        del app.add_url_rule
        app.url_map = app.url_map_class()
        app.url_map.converters = self.rules.converters
        for rule in self.rules.iter_rules():
            own: Any = rule.empty()
            own.provide_automatic_options = getattr(rule, "provide_automatic_options", False)  # of Flask
            app.url_map.add(own)
        app.add_url_rule(*given, **options)


def share_static_rule() -> None:
    """Let all apps use what was compiled for the address of static files: Flask adds it before our pages."""
    build = Rule._compile_builder
    known: dict[tuple[str, bool], Any] = {}

    @wraps(build)
    def once(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.endpoint != "static":
            return build(rule, append_unknown)
        key = (rule.rule, append_unknown)
        if key not in known:
            known[key] = build(rule, append_unknown)
        return known[key]

    Rule._compile_builder = once  # type: ignore[method-assign]  # it gives functions that know no rule


@contextmanager
def _instead(app: Flask, name: str, what: object) -> Iterator[None]:
    setattr(app, name, what)
    yield
    delattr(app, name)


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
