"""The two durable queues, what a message in them says, and Celery's settings, the same at both ends."""

import re
from typing import NamedTuple

from celery import Celery
from kombu import Queue

from guestbook.lib import ids

DELIVER = "guestbook.deliver"  # tasks: (row's id, token)
PROCESS = "guestbook.process"
TASK_QUEUES = {
    DELIVER: Queue("guestbook.deliveries", routing_key="guestbook.deliveries", durable=True),
    PROCESS: Queue("guestbook.inbound", routing_key="guestbook.inbound", durable=True),
}
TOKEN_PATTERN = re.compile(r"[\w.]{1,64}", re.ASCII)


class Handover(NamedTuple):
    """A row, and the token under which the relay has leased it."""

    id: str
    token: str


def handover(row_id: object, token: object) -> Handover | None:
    """Return what a message says, or None when it cannot mean a row: anybody at the broker can publish."""
    if (
        isinstance(row_id, str)
        and isinstance(token, str)
        and ids.ID.fullmatch(row_id)
        and TOKEN_PATTERN.fullmatch(token)
    ):
        return Handover(row_id, token)
    return None


def celery_app(broker_url: str) -> Celery:
    """Return a Celery application that knows the queues, and keeps no results, for the rows have them."""
    app = Celery("guestbook", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=list(TASK_QUEUES.values()),
        task_default_queue=TASK_QUEUES[DELIVER].name,
        task_routes={name: {"queue": queue.name} for name, queue in TASK_QUEUES.items()},
        task_default_delivery_mode="persistent",
        task_ignore_result=True,
        # A message is acknowledged when its row is recorded, not before.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=2,
        worker_consumer="guestbook.background.celery.message_filter:FilteringConsumer",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # RabbitMQ deprecates queues that end with their connection; remote control would need one.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app
