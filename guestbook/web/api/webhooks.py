"""/webhooks: add, change, test, rotate the secret, delete."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.outbound import webhook_shapes, webhook_signatures, webhook_urls, webhooks
from guestbook.queries import filtered_lists
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Webhook
from guestbook.web import conditional, request_context
from guestbook.web.api import idempotency, request_reader, serializers
from guestbook.web.row_lookup import find, find_locked

calls = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@calls.get("")
def index() -> ResponseReturnValue:
    """List them."""
    query = request_reader.query()
    page = filtered_lists.row_page(db.session(), Webhook, query.get("before"), query["limit"])
    return serializers.page("webhooks", page, serializers.webhook, query)


@calls.post("")
def add() -> ResponseReturnValue:
    """Add a webhook; only this answer shows its secret."""
    fields = request_reader.body(_errors)
    url = webhook_urls.checked(fields["url"], request_context.settings())
    warnings = webhook_urls.warnings(
        url, request_context.settings()
    )  # before the transaction: it may take seconds
    with writing() as session:
        disabled = fields.get("disabled", False)
        webhook = webhooks.add(session, _fields(fields), request_context.settings(), disabled=disabled)
        shown = serializers.webhook(webhook, with_secret=True) | {"warnings": warnings}
        location = serializers.address(f"/webhooks/{webhook.id}")
        return idempotency.keep(session, shown, 201, {"Location": location})


@calls.get("/<webhook_id>")
def one(webhook_id: str) -> ResponseReturnValue:
    """Show one."""
    return serializers.webhook(find(Webhook, webhook_id))


@calls.patch("/<webhook_id>")
def change(webhook_id: str) -> ResponseReturnValue:
    """Change the given fields; `events` and `headers` replace the old ones."""
    changes = request_reader.body(_errors)
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        conditional.refuse_if_changed(serializers.webhook(webhook))
        webhooks.update(session, webhook, _fields(changes), request_context.settings())
        if changes.get("disabled"):
            row_changes.disable(session, webhook)
        elif "disabled" in changes and (webhook.disabled_at or webhook.paused_until):  # ends a pause, too
            row_changes.enable(session, webhook)
        shown = serializers.webhook(webhook)
    warnings = webhook_urls.warnings(shown["url"], request_context.settings()) if "url" in changes else []
    return shown | {"warnings": warnings}


@calls.delete("/<webhook_id>")
def delete(webhook_id: str) -> ResponseReturnValue:
    """Delete one with all its deliveries."""
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        conditional.refuse_if_changed(serializers.webhook(webhook))
        is_gone = webhooks.begin_delete(session, webhook.id)  # under the same lock: no change comes between
    if not is_gone:
        webhooks.delete(db.engine, webhook.id)
    return "", 204


@calls.post("/<webhook_id>/test")
def test(webhook_id: str) -> ResponseReturnValue:
    """Send a ping, or an example of an event, through the queue; the delivery shows the result."""
    event = request_reader.body().get("event", webhooks.PING)
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        delivery = webhooks.store_sample(session, webhook, event, request_context.settings())
        return idempotency.keep(session, webhook_shapes.delivery(delivery), 202)


@calls.post("/<webhook_id>/rotate-secret")
def rotate_secret(webhook_id: str) -> ResponseReturnValue:
    """Rotate the secret; only this answer shows the new one."""
    given = request_reader.body()
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        webhook_signatures.rotate_secret(session, webhook, _overlap(given), given.get("secret"))
        return idempotency.keep(session, serializers.webhook(webhook, with_secret=True))


@calls.post("/<webhook_id>/rotate-key")
def rotate_key(webhook_id: str) -> ResponseReturnValue:
    """Rotate the key pair; every answer shows the public keys."""
    given = request_reader.body()
    with writing() as session:
        webhook = find_locked(Webhook, webhook_id)
        webhook_signatures.rotate_key(session, webhook, _overlap(given), given.get("signing_key"))
        return idempotency.keep(session, serializers.webhook(webhook))


def _overlap(given: Mapping[str, Any]) -> timedelta:
    return timedelta(hours=given.get("overlap_hours", 24))


def _errors(fields: dict[str, Any]) -> Mapping[str, str]:
    """Return the errors of the fields, without headers: a hidden value needs its webhook."""
    alone = {name: value for name, value in fields.items() if name != "headers"}
    return webhooks.field_errors(_fields(alone), request_context.settings())


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as `outbound.webhooks` takes them."""
    fields = {name: value for name, value in given.items() if name != "disabled"}
    if "format" in fields:
        fields["format_name"] = fields.pop("format")
    if "headers" in fields:
        # Of names that differ only in case, the last counts.
        last = {name.lower(): f"{name}: {value}" for name, value in fields["headers"].items()}
        fields["headers"] = list(last.values())
    return fields
