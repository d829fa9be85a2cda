"""Accept only messages of a relay. Others could end a worker, or stay with it for ever.

Whoever may publish on this broker is trusted, but a mistake there must not stop the webhooks.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

from guestbook.background.celery.messages import DELIVER, IDS_PER_MESSAGE, TASK_QUEUES

MESSAGE_LIMIT_BYTES = 4096  # ours have 1,300 at most
FORBIDDEN_HEADERS = ("eta", "expires")  # would let a message wait in the worker, or lapse
log = logging.getLogger(__name__)


class FilteringConsumer(consumer.Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, but it rejects a message that is not ours, with one line in the log."""

    def create_task_handler(self, *values: Any, **options: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*values, **options)

        def filter_and_handle(message: Any) -> None:
            if is_ours(message):
                handle(message)
            else:
                log.error(
                    "Thrown away: a message of %d bytes that no relay has published.", len(message.body)
                )
                message.reject_log_error(log, self.connection_errors)

        return filter_and_handle


def is_ours(message: Any) -> bool:
    """Whether it is a task of ours with ids and a token, and asks nothing else of Celery."""
    headers = message.headers
    if not isinstance(headers, dict) or len(message.body) > MESSAGE_LIMIT_BYTES:
        return False
    task, number, limits = headers.get("task"), headers.get("id"), headers.get("timelimit")
    if not isinstance(task, str) or task not in TASK_QUEUES or not isinstance(number, str):
        return False
    if limits not in (None, [None, None]) or any(headers.get(name) is not None for name in FORBIDDEN_HEADERS):
        return False
    try:
        body = message.decode()
    except Exception:  # no matter what is wrong: a relay would not have written it
        return False
    match body:  # two positional arguments and nothing else, by Celery's second message protocol
        case [[named_rows, str()], dict() as named, dict() as options]:
            return _names_rows(named_rows, task) and not named and not any(options.values())
    return False


def _names_rows(value: object, task: str) -> bool:
    """Whether it is an id, or a list of some for the task that takes one."""
    if not isinstance(value, list):
        return isinstance(value, str)
    return (
        task == DELIVER and 0 < len(value) <= IDS_PER_MESSAGE and all(isinstance(one, str) for one in value)
    )
