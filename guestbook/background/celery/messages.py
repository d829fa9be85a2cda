"""The two durable queues, what a message in them says, and Celery's settings, the same at both ends."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from celery import Celery
from kombu import Queue

from guestbook.lib import ids

DELIVER = "guestbook.deliver"  # tasks: (the rows' ids, or one id; their token)
PROCESS = "guestbook.process"  # (a row's id, its token)
TASK_QUEUES = {
    DELIVER: Queue("guestbook.deliveries", routing_key="guestbook.deliveries", durable=True),
    PROCESS: Queue("guestbook.inbound", routing_key="guestbook.inbound", durable=True),
}
IDS_PER_MESSAGE = 32  # of one claim at most; a message costs several times as much as a row
SHARES = 8  # messages at least that a claim becomes, if it has so many rows: workers share them
TOKEN_PATTERN = re.compile(r"[\w.]{1,64}", re.ASCII)


class Handover(NamedTuple):
    """A row, and the token under which the relay has leased it."""

    id: str
    token: str


def arguments(rows: Sequence[Handover]) -> tuple[str | list[str], str]:
    """Return what the message for these rows of one claim says."""
    if len(rows) == 1:
        return rows[0]
    return [row.id for row in rows], rows[0].token


def handovers(row_ids: object, token: object) -> list[Handover]:
    """Return the rows that a message names, without what cannot mean one: anybody at the broker can publish.

    A message with the id of a single row has no list.
    """
    listed = row_ids if isinstance(row_ids, list) else [row_ids]
    if not isinstance(token, str) or not TOKEN_PATTERN.fullmatch(token):
        return []
    return [Handover(one, token) for one in listed if isinstance(one, str) and ids.ID.fullmatch(one)]


def celery_app(broker_url: str) -> Celery:
    """Return a Celery application that knows the queues, and keeps no results, for the rows have them."""
    app = Celery("guestbook", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=list(TASK_QUEUES.values()),
        task_default_queue=TASK_QUEUES[DELIVER].name,
        task_routes={name: {"queue": queue.name} for name, queue in TASK_QUEUES.items()},
        task_default_delivery_mode="persistent",
        task_ignore_result=True,
        # A message is acknowledged when its rows are recorded, not before.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,  # a message has work for many threads already
        worker_consumer="guestbook.background.celery.message_filter:FilteringConsumer",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # RabbitMQ deprecates queues that end with their connection; remote control would need one.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app
