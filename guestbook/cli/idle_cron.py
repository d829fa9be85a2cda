"""`cron` before any application is loaded. Flask finds it as a plugin, by the entry point in setup.cfg.

It runs a pass that has nothing to do, and hands over to the command in cron.py if there is anything.
"""

from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo

from guestbook import settings
from guestbook.background import pass_with_nothing_due
from guestbook.cli import options
from guestbook.lib.current_process import paused_gc

GUESTBOOK = ("guestbook", "guestbook:create_app", "guestbook:create_app()")  # What --app may name.


class IdleCron(click.Command):
    """Parses cron's options like the application's command, which takes over if there is anything to do."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Run the pass and return a context with nothing left to do, or else the other command's context."""
        assert parent
        info = parent.ensure_object(ScriptInfo)
        make = info.create_app
        if not (make.__module__ == "guestbook" if make else info.app_import_path in GUESTBOOK):
            app = info.load_app()  # Another application may have a command of this name.
            parent.with_resource(app.app_context())
            command = app.cli.get_command(parent, "cron") or parent.fail("No such command 'cron'.")
            return command.make_context(info_name, args, parent, **extra)
        try:
            context = super().make_context(info_name, [*args], parent, **extra)
            if _is_done(context):
                return context
        except click.UsageError:  # The other command answers that, and --help.
            pass
        with paused_gc():
            from guestbook.cli import cron as whole_pass
            from guestbook.storage import app_factory

            app = app_factory.make(Flask)
            if app.config["GUESTBOOK"].public_folder:
                app = info.load_app()  # It has the pages.
        parent.with_resource(app.app_context())
        return whole_pass.cron.make_context(info_name, args, parent, **extra)


def _is_done(context: click.Context) -> bool:
    """Run the pass if nothing is due and nobody wants to see, hear or wait for more."""
    with context.scope(cleanup=False):
        if context.params["stay"] or context.params["ping_url"] or options.is_verbose():
            return False
        try:
            read = settings.load()
        except settings.SettingsError:
            return False
        if read.ping_url or not read.secret_key:
            return False
        with options.log_shown(read.log_format):
            return pass_with_nothing_due.run(read)


cron: click.Command = options.pass_options(
    options.ping_option(IdleCron("cron", add_help_option=False, hidden=True))
)
