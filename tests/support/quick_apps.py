"""Most tests make an app. What takes most of its start is done once: URL rules and templates are compiled.

Both go through what Flask and Jinja offer for this: a class for the rules, and a cache of bytecode.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class SharedRule(Rule):
    """A rule that takes over what an equal one of another app was compiled to."""

    _compiled: ClassVar[dict[Any, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, tuple((self.defaults or {}).items()), append_unknown)
        if key not in self._compiled:
            self._compiled[key] = super()._compile_builder(append_unknown)
        return self._compiled[key]


class SharedTemplates(BytecodeCache):
    """Compiled templates by the checksum of their source."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


def use() -> None:
    """Let all apps of this process share them."""
    Flask.url_rule_class = SharedRule
    Flask.jinja_options = {"bytecode_cache": SharedTemplates()}
