"""Let in only what a relay has published: other messages would end a worker, or stay with it for ever.

Who may publish on this broker is trusted, but a mistake there must not stop the webhooks.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

from guestbook.background.celery.messages import QUEUES

MOST_BYTES = 4096  # of a body; ours have 200
FORBIDDEN = ("eta", "expires")  # headers by which a message would wait in the worker, or not count
log = logging.getLogger(__name__)


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's, but that a message which is not ours is thrown away, with one line in the log."""

    def create_task_handler(self, *values: Any, **options: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*values, **options)

        def look_and_handle(message: Any) -> None:
            if is_ours(message):
                handle(message)
            else:
                log.error(
                    "Thrown away: a message of %d bytes that no relay has published.", len(message.body)
                )
                message.reject_log_error(log, self.connection_errors)

        return look_and_handle


def is_ours(message: Any) -> bool:
    """Whether it is a task of ours with two texts, and nothing else is asked of Celery."""
    headers = message.headers
    if not isinstance(headers, dict) or len(message.body) > MOST_BYTES:
        return False
    task, number, limits = headers.get("task"), headers.get("id"), headers.get("timelimit")
    if not isinstance(task, str) or task not in QUEUES or not isinstance(number, str):
        return False
    if limits not in (None, [None, None]) or any(headers.get(name) is not None for name in FORBIDDEN):
        return False
    try:
        body = message.decode()
    except Exception:  # whatever is wrong with it: we would not have made it so
        return False
    return _are_two_texts(body)


def _are_two_texts(body: object) -> bool:
    """Look for arguments as Celery's second protocol has them, without named ones and without more to do."""
    match body:
        case [[str(), str()], dict() as named, dict() as more]:
            return not named and not any(more.values())
    return False
