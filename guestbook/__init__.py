"""A guestbook whose webhooks are never lost."""

import os
from collections.abc import Mapping
from functools import partial

from flask import Flask

from guestbook.lib import VERSION
from guestbook.lib.current_process import paused_gc

__version__ = VERSION


def create_app(given: Mapping[str, object] | None = None) -> Flask:
    """Make the application from the environment, or from the given settings or configuration of Flask."""
    with paused_gc():
        # Imported here: each minute a pass starts that has nothing to do and needs none of this.
        only_path = _path_by_cgi()
        if only_path is None:
            return _app_with_commands(given)
        from guestbook.web import cgi_app

        if cgi_app.is_for_readers(only_path):
            return cgi_app.make(given, partial(_app_with_pages, only_path=only_path))
        return _app_with_pages(given, only_path)


def _path_by_cgi() -> str | None:
    """Return the path of the one request that a CGI process answers (RFC 3875, 4.1.5); None in a server.

    It begins with one slash, as pages are found by Werkzeug, whatever was typed.
    """
    path = os.environ.get("PATH_INFO", "")
    return f"/{path.lstrip('/')}" if "GATEWAY_INTERFACE" in os.environ else None


def _app_with_commands(given: Mapping[str, object] | None) -> Flask:
    """Make the whole application, or for a command that was typed what it needs."""
    from guestbook.cli import app_command, program
    from guestbook.storage import app_factory

    typed = app_command.typed_name()
    if typed is None or typed in program.NEEDING_PAGES:
        app = _app_with_pages(given, with_key_page=typed in (None, "run", "serve"))
        program.register(app)
    else:
        app = app_factory.make(Flask, given, for_doctor=typed == "doctor")
        if app.config["GUESTBOOK"].public_folder and typed in app_command.PASSES:
            from guestbook import web

            web.register(app)  # A pass writes public pages.
        program.register(app, typed)
    return app


def _app_with_pages(
    given: Mapping[str, object] | None, only_path: str | None = None, *, with_key_page: bool = True
) -> Flask:
    """Make the application with its pages. A web server says on them that the secret key is missing."""
    from guestbook import web
    from guestbook.storage import app_factory
    from guestbook.web import settings_reload

    def make() -> Flask:
        app = app_factory.make(web.Application, given, for_key_page=with_key_page and given is None)
        web.register(app, only_path)
        return app

    app = make()
    if only_path is None:  # A CGI process answers one request.
        settings_reload.init_app(app, make)
    return app


def main() -> None:
    """Run the program `guestbook`, as setup.cfg names it."""
    from flask.cli import ScriptInfo

    from guestbook.cli.program import program
    from guestbook.settings import installation

    program(obj=ScriptInfo(create_app=create_app), prog_name=installation.program_name())
