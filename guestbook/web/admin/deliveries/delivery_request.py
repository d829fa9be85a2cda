"""The request of a delivery as a curl command, signed as of now."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row

from guestbook.lib.mail_address import is_mailto
from guestbook.lib.redaction import HIDDEN
from guestbook.outbound import receivers, request_headers, tasks
from guestbook.storage.models import Delivery, Webhook
from guestbook.web.admin import curl_command


def as_curl(delivery: Delivery, webhook: Webhook, base_url: str, file: str, now: datetime) -> str | None:
    """Return a command that sends what the next attempt would send; None where that is no plain request.

    A long body is read from `file`. The values of the webhook's own headers stay hidden.
    """
    own = dict.fromkeys(webhook.headers, HIDDEN)
    receiver = receivers.of_webhook(webhook, own, now)
    has_no_request = is_mailto(webhook.url) or receiver.mentions or webhook.is_pulled
    if has_no_request or receiver.error or delivery.erased_at:
        return None
    claimed = cast("Row[Any]", delivery)  # it has the columns of a claimed row
    task = tasks.delivery_task(claimed, "", 0.0, receiver)
    timestamp = int(now.timestamp())
    plain = request_headers.plain(task, request_headers.user_agent(base_url), timestamp)
    headers = {**plain, **request_headers.signatures(task, timestamp), **own}
    return curl_command.command("POST", webhook.url, list(headers.items()), task.body, file)
