"""A CGI process has the pages that its one request needs, and no others; a server has all."""

import json
import subprocess
import sys

from tests.support.processes import ROOT

CODE = """
import json, sys
import guestbook
app = guestbook.create_app()
found = {"pages": sorted(app.blueprints), "modules": sorted(sys.modules), "commands": len(app.cli.commands)}
print(json.dumps(found))
"""
# What no page is without is there before each process begins: to load it takes longer than all the rest.
MANY = f"""
import os, sys
import flask, flask_wtf, sqlalchemy.orm
for path in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.environ["PATH_INFO"] = path
        exec({CODE!r})
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
PAGES_OF_PATHS = {
    "": {"public"},
    "/comments": {"public"},
    "/feed.atom": {"public", "feeds"},
    "/embed": {"public", "embed"},
    "/moderate/0": {"public", "moderation"},
    "/hooks/tok": {"public", "inbound_webhook"},
    "/bin/x": {"public", "bins"},
    "/api/v1/comments": {"public", "api"},
    "/healthz": {"public", "health"},
    "//healthz": {"public", "health"},  # as a server finds it
}


def loaded(environ: dict[str, str], *paths: str) -> list[dict[str, list[str]]]:
    """Return what a new process has after it made the app, for each path."""
    command = [sys.executable, "-c", MANY, *paths]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_cgi_process_has_the_pages_of_its_path(environ: dict[str, str]) -> None:
    all_found = loaded(environ | {"GATEWAY_INTERFACE": "CGI/1.1"}, *PAGES_OF_PATHS)
    for (path, pages), found in zip(PAGES_OF_PATHS.items(), all_found, strict=True):
        top = {name for name in found["pages"] if "." not in name}
        assert top == pages | {"looks"}, path
        assert found["commands"] == 0, path
        assert not {"guestbook.cli", "guestbook.web.admin"} & set(found["modules"]), path


def test_the_admin_pages_by_cgi_are_whole(environ: dict[str, str]) -> None:
    for found in loaded(environ | {"GATEWAY_INTERFACE": "CGI/1.1"}, "/admin/", "//admin/"):
        assert {"admin", "admin.dashboard", "public"} <= set(found["pages"])


def test_a_server_has_all_pages_and_commands(environ: dict[str, str]) -> None:
    [found] = loaded(environ, "/")
    assert {"admin", "api", "bins", "inbound_webhook", "health", "metrics", "pinger"} <= set(found["pages"])
    assert found["commands"] != 0
