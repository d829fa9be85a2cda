"""A guestbook whose webhooks are never lost."""

from collections.abc import Mapping

from flask import Flask

from guestbook.lib.version import VERSION

__version__ = VERSION


def create_app(given: Mapping[str, object] | None = None) -> Flask:
    """Make the application from the environment, or from the given settings or configuration of Flask.

    A wrong setting ends the process with one line: Flask's command line and all servers know SystemExit,
    where another exception would be a traceback.
    """
    # Imported here: a pass with nothing to do (cli/idle_cron.py) needs this package, but no application.
    from werkzeug.middleware.proxy_fix import ProxyFix

    from guestbook import cli, settings, web
    from guestbook.settings import flask_config
    from guestbook.storage import database
    from guestbook.web.application import Application

    try:
        config = flask_config.read(given)
        read = settings.load(config.environ, alone=config.is_alone)
    except settings.SettingsError as error:
        raise SystemExit(f"Error: {error}") from None
    app = Application(__name__, instance_path=str(read.data_dir))
    app.secret_key = read.secret_key
    app.config["GUESTBOOK"] = read
    app.config.update(config.for_flask)
    app.extensions["guestbook"] = config  # a test's folder lives as long as the app
    if read.trusted_proxies:
        hops = read.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's documented way
    database.init_app(app, read)
    web.register(app)
    cli.register(app)
    return app
