"""A CGI process has the pages that its one request needs, and no others; a server has all."""

import json
import re
import subprocess
import sys

import pytest
from flask import Flask

import guestbook
from guestbook import web
from tests.support.compiled import HANDLERS
from tests.support.processes import ROOT
from tests.support.visitor import Visitor

CODE = """
import json, sys
import guestbook
app = guestbook.create_app()
found = {"pages": sorted(app.blueprints), "modules": sorted(sys.modules), "commands": len(app.cli.commands)}
print(json.dumps(found))
"""


def loaded(environ: dict[str, str], **more: str) -> dict[str, list[str]]:
    """Return what a new process has after it made the app."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environ | more, capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("path", "pages"),
    [
        ("", {"public"}),
        ("/comments", {"public"}),
        ("/feed.atom", {"public", "feeds"}),
        ("/embed", {"public", "embed"}),
        ("/moderate/0", {"public", "moderation"}),
        ("/hooks/tok", {"public", "receiver"}),
        ("/bin/x", {"public", "bins"}),
        ("/api/v1/comments", {"public", "api"}),
        ("/healthz", {"public", "health"}),
    ],
)
def test_a_cgi_process_has_the_pages_of_its_path(environ: dict[str, str], path: str, pages: set[str]) -> None:
    found = loaded(environ, GATEWAY_INTERFACE="CGI/1.1", PATH_INFO=path)
    assert {name for name in found["pages"] if "." not in name} == pages | {"language", "looks", "pictures"}
    assert found["commands"] == 0
    assert not {"guestbook.cli", "guestbook.web.admin"} & set(found["modules"])


def test_the_front_page_by_cgi_loads_nothing_that_sends_or_migrates(environ: dict[str, str]) -> None:
    found = loaded(environ, GATEWAY_INTERFACE="CGI/1.1", PATH_INFO="/")
    heavy = {"requests", "urllib3", "jsonschema", "alembic", "waitress", "sqlalchemy.dialects.postgresql"}
    assert heavy & set(found["modules"]) == set()


def test_the_admin_pages_by_cgi_are_whole(environ: dict[str, str]) -> None:
    found = loaded(environ, GATEWAY_INTERFACE="CGI/1.1", PATH_INFO="/admin/")
    assert {"admin", "admin.dashboard", "public"} <= set(found["pages"])


def test_a_server_has_all_pages_and_commands(environ: dict[str, str]) -> None:
    found = loaded(environ, PATH_INFO="/")
    assert {"admin", "api", "bins", "receiver", "health", "metrics", "pinger"} <= set(found["pages"])
    assert found["commands"] != 0


def test_an_app_of_a_test_has_what_it_would_register_itself(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests share blueprints; another order or a handler of the whole app would be no part of that."""
    shared, again = guestbook.create_app(environ), guestbook.create_app(environ)
    assert shared.url_map is again.url_map
    monkeypatch.setattr(web, "register", web.register.__wrapped__)  # type: ignore[attr-defined]  # of functools.wraps
    assert registered(again) == registered(guestbook.create_app(environ))
    again.add_url_rule("/own", "own", str)
    assert again.url_map.bind("").match("/own") == ("own", {})
    assert Visitor(again).open("OPTIONS", "/static/book.css").headers["Allow"]  # by Flask
    assert not [rule for rule in shared.url_map.iter_rules() if rule.rule == "/own"]


def registered(app: Flask) -> dict[str, object]:
    """Return the names of all that an app has: its rules, views, blueprints and handlers."""
    handlers = {kind: {name: named(found) for name, found in getattr(app, kind).items()} for kind in HANDLERS}
    return {
        "rules": [(str(rule), rule.endpoint, rule.methods) for rule in app.url_map.iter_rules()],
        "views": {name: named(view) for name, view in app.view_functions.items()},
        "blueprints": sorted(app.blueprints),
        "handlers": handlers,
    }


def named(found: object) -> str:
    return re.sub(r" at 0x\w+", "", repr(found))
