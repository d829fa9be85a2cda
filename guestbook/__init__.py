"""A guestbook whose webhooks are never lost."""

from collections.abc import Mapping

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from guestbook import cli, database, settings, web
from guestbook.version import VERSION
from guestbook.web.application import Application

__version__ = VERSION


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Make the application from the environment, or from the given one.

    A wrong setting ends the process with one line: Flask's command line and all servers know SystemExit,
    where another exception would be a traceback.
    """
    try:
        read = settings.load(environ)
    except settings.SettingsError as error:
        raise SystemExit(f"Error: {error}") from None
    app = Application(__name__, instance_path=str(read.data_dir))
    app.secret_key = read.secret_key
    app.config["GUESTBOOK"] = read
    if read.trusted_proxies:
        hops = read.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's documented way
    database.init_app(app, read)
    web.register(app)
    cli.register(app)
    return app
