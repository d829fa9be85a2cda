"""/presets: what the forms of sources and webhooks fill in, for programs that do the same."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.inbound import senders
from guestbook.inbound.senders import PRESETS, SENDER_PRESETS
from guestbook.inbound.source_shapes import SCHEME_PROPERTIES
from guestbook.lib import json_schema
from guestbook.outbound.webhook_urls import REBUILD_EVENTS, REBUILD_PRESETS

calls = Blueprint("presets", __name__, url_prefix="/presets")


@calls.get("")
def index() -> ResponseReturnValue:
    """Show the known senders, the ready-made templates, and the webhooks that build a site again."""
    return {
        "senders": [_sender(name) for name in SENDER_PRESETS],
        "templates": [{"name": name, "text": text} for name, text in PRESETS.items()],
        "webhooks": [_webhook(name) for name in REBUILD_PRESETS],
    }


def _sender(name: str) -> dict[str, object]:
    preset, settings = SENDER_PRESETS[name], senders.settings_of(name)
    scheme = {key: settings[key] for key in SCHEME_PROPERTIES if key in settings}
    return {
        "name": name,
        "title": preset.title,
        "verify": preset.verify,
        "header": preset.header or None,
        "scheme": {**scheme, "tolerance": int(scheme["tolerance"])} if scheme else None,
        "template": preset.template or None,
        "secret_from": preset.secret_from or None,
    }


def _webhook(name: str) -> dict[str, object]:
    preset = REBUILD_PRESETS[name]
    parts = (line.partition(": ") for line in preset.headers)
    return {
        "name": name,
        "events": list(REBUILD_EVENTS),
        "headers": {header: value for header, _, value in parts},
        **json_schema.of_row(preset, ("title", "url", "template")),
    }
