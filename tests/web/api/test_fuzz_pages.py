"""Schemathesis asks the public pages for whatever comes to its mind: none of it is an error of ours.

They have no document, so one is made of their routes.
"""

import json
import re
from pathlib import Path
from typing import Any

from flask import Flask

from guestbook.storage import preferences
from guestbook.storage.database import writing
from tests.conftest import run, running
from tests.web.api.test_fuzz import COMMAND

OPTIONS = ("--max-examples", "2", "--generation-deterministic", "--mode", "positive", "--phases", "fuzzing")
CHECKS = ("--checks", "not_a_server_error")
ALL_ASKED = {
    "asks_place": "yes",
    "asks_note": "yes",
    "visitor_looks": "yes",
    "embed_sites": "https://one.example",
    "question": "2 + 2?",
    "answers": "four",
}
# Of all forms and addresses; a route ignores those of others.
FORM_FIELDS = (
    *("name", "place", "website", "message", "note", "answer", "token", "subject", "preview", "sites"),
    *("language", "look", "source", "target", "action", "mark", "reply"),
)
QUERY_NAMES = ("before", "signed", "receipt", "site", "source", "target", "done", "v", "challenge")
NOT_ASKED = ("/admin", "/api/", "/static/", "/healthz")  # the last one may well be 503
TEXT = {"type": "string"}


def test_no_public_page_has_an_error_of_ours(
    served: tuple[str, str], environ: dict[str, str], tmp_path: Path
) -> None:
    with running(environ) as app:
        with app.app_context(), writing() as session:
            preferences.save(session, ALL_ASKED)
        document = of_pages(app)
    path = tmp_path / "pages.json"
    path.write_text(json.dumps(document))
    tool = run(*COMMAND, str(path), "--url", served[0], *OPTIONS, *CHECKS, cwd=tmp_path)
    assert tool.returncode == 0, tool.stdout + tool.stderr
    assert f"Tested: {sum(map(len, document['paths'].values()))}" in tool.stdout


def of_pages(app: Flask) -> dict[str, Any]:
    """Describe all routes that need no login; whatever a form or an address may hold is text."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(NOT_ASKED):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or {"GET", "POST"}) - {"HEAD", "OPTIONS"}:
            names = re.findall(r"{(\w+)}", path)
            paths.setdefault(path, {})[method.lower()] = operation(names, has_form=method == "POST")
    return {"openapi": "3.1.0", "info": {"title": "Pages", "version": "1"}, "paths": paths}


def operation(in_path: list[str], *, has_form: bool) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in in_path]
    parameters += [{"name": name, "in": "query", "schema": TEXT} for name in QUERY_NAMES]
    answers = {"default": {"description": "A page"}}
    described: dict[str, Any] = {"parameters": parameters, "responses": answers}
    if has_form:
        schema = {"type": "object", "properties": dict.fromkeys(FORM_FIELDS, TEXT)}
        described["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    return described
