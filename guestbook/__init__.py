"""A guestbook whose webhooks are never lost."""

from collections.abc import Mapping

from flask import Flask

from guestbook.lib.paused_gc import paused_gc
from guestbook.lib.version import VERSION

__version__ = VERSION


def create_app(given: Mapping[str, object] | None = None) -> Flask:
    """Make the application from the environment, or from the given settings or configuration of Flask."""
    with paused_gc():
        # Imported here: each minute a pass starts that has nothing to do and needs none of this.
        from guestbook.web import path_pages

        if not path_pages.is_for_readers():
            return _whole_app(given)
        from guestbook.web import reader_app

        return reader_app.make(given, _whole_app)


def _whole_app(given: Mapping[str, object] | None) -> Flask:
    from guestbook import web
    from guestbook.storage import configured_app
    from guestbook.web import path_pages
    from guestbook.web.application import Application

    only_path = path_pages.of_cgi()
    app = configured_app.make(Application, given, for_doctor=only_path is None and _is_doctor_typed())
    web.register(app, only_path)
    if only_path is None:  # a CGI process runs no command
        from guestbook import cli

        cli.register(app)
    return app


def _is_doctor_typed() -> bool:
    from guestbook.cli import typed_command  # here: a CGI process runs no command

    return typed_command.name() == "doctor"


def main() -> None:
    """Run the program `guestbook`, as setup.cfg names it."""
    from flask.cli import ScriptInfo

    from guestbook.cli.program import program

    program(obj=ScriptInfo(create_app=create_app), prog_name="guestbook")
