"""Each app compiles its URL rules and templates anew, for 40 ms. The tests of a process compile them once."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


def share(app: Flask) -> None:
    """Let an app use the templates that others have compiled."""
    app.jinja_env.bytecode_cache = TEMPLATES


def share_url_rules() -> None:
    """Let all apps use one function for URLs of one rule."""
    compile_one = Rule._compile_builder
    known: dict[object, Callable[..., Any]] = {}

    def once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        defaults = tuple(sorted((rule.defaults or {}).items()))
        key = (rule.rule, rule.host, rule.subdomain, defaults, append_unknown)
        if key not in known:
            known[key] = compile_one(rule, append_unknown)
        return known[key]

    Rule._compile_builder = once  # type: ignore[method-assign]  # in this process alone


class _Templates(BytecodeCache):
    """Compiled templates by the checksum of their source."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = _Templates()
