"""The pages below a path of their own. A CGI process answers one request, and imports what that needs."""

import os
import re
from collections.abc import Callable

from flask import Flask

# They only read, and are all public.
FOR_READERS = re.compile(
    r"/|/comments/[^/]+|/favicon\.ico|/button\.svg|/own\.css|/privacy|/(?:static|pictures)/.+"
)


def is_for_readers(path: str) -> bool:
    """Whether this CGI process, which has that path, is asked for a page for readers."""
    return os.environ.get("REQUEST_METHOD") in ("GET", "HEAD") and FOR_READERS.fullmatch(path) is not None


def register(app: Flask, only_path: str | None) -> None:
    """Add the pages below each path, or those alone that `only_path` may lead to."""
    for path, add in PAGES_BELOW.items():
        if only_path is None or only_path.startswith(path):
            add(app)


def _add_embed(app: Flask) -> None:
    from guestbook.web import public_pages

    app.register_blueprint(public_pages.frame_pages)


def _add_own_comment(app: Flask) -> None:
    from guestbook.web import signing

    app.register_blueprint(signing.pages)


def _add_feeds(app: Flask) -> None:
    from guestbook.web import feeds

    app.register_blueprint(feeds.pages)


def _add_health(app: Flask) -> None:
    from guestbook.web import health

    app.register_blueprint(health.pages)


def _add_metrics(app: Flask) -> None:
    from guestbook.web import metrics

    app.register_blueprint(metrics.pages)


def _add_pinger(app: Flask) -> None:
    from guestbook.web import pinger

    app.register_blueprint(pinger.pages)


def _add_inbound_webhook(app: Flask) -> None:
    from guestbook.web import inbound_webhook

    app.register_blueprint(inbound_webhook.pages)


def _add_webmention(app: Flask) -> None:
    from guestbook.web import webmention

    app.register_blueprint(webmention.pages)


def _add_bins(app: Flask) -> None:
    from guestbook.web import bins

    app.register_blueprint(bins.pages)


def _add_moderation(app: Flask) -> None:
    from guestbook.web import moderation

    moderation.register(app)


def _add_receiver_pages(app: Flask) -> None:
    from guestbook.web import receiver_pages

    receiver_pages.register(app)


def _add_admin(app: Flask) -> None:
    from guestbook.web import admin

    admin.register(app)


def _add_api(app: Flask) -> None:
    from guestbook.web import api

    api.register(app)


PAGES_BELOW: dict[str, Callable[[Flask], None]] = {
    "/comments/": _add_own_comment,
    "/embed": _add_embed,
    "/feed": _add_feeds,
    "/healthz": _add_health,
    "/metrics": _add_metrics,
    "/cron": _add_pinger,
    "/hooks": _add_inbound_webhook,
    "/webmention": _add_webmention,
    "/bin": _add_bins,
    "/moderate": _add_moderation,
    "/receiver": _add_receiver_pages,
    "/admin": _add_admin,
    "/api": _add_api,
}
