"""What goes through the broker: queues, messages, Celery's settings, and who publishes and accepts them."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from celery import Celery
from celery.worker import consumer
from kombu import Queue
from kombu.exceptions import KombuError

from guestbook.lib import ids

DELIVER = "guestbook.deliver"  # a task: (the rows' ids, or one id; their token)
PROCESS = "guestbook.process"  # (a row's id, its token)
TASK_QUEUES = {
    DELIVER: Queue("guestbook.deliveries", routing_key="guestbook.deliveries", durable=True),
    PROCESS: Queue("guestbook.inbound", routing_key="guestbook.inbound", durable=True),
}
IDS_PER_MESSAGE = 32  # of one claim at most; a message costs several times as much as a row
TOKEN_PATTERN = re.compile(r"[\w.]{1,64}", re.ASCII)


class Handover(NamedTuple):
    """A row, and the token under which the relay has leased it."""

    id: str
    token: str


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
        # A message is acknowledged when its rows are taken over, not before.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,  # A message has work for many threads already.
        worker_consumer="guestbook.background.celery.messages:FilteringConsumer",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # RabbitMQ deprecates queues that end with their connection; remote control would need one.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app


CONNECT_TIMEOUT = 5.0  # seconds
CONFIRM_TIMEOUT = 10.0  # seconds, also for any other answer of the broker


class BrokerAway(Exception):
    """The broker cannot be used now; the text says why, without the URL and its password."""


class Publisher:
    """A connection whose channel is in confirm mode. Use it as a context manager."""

    def __init__(self, broker_url: str) -> None:
        self._app = celery_app(broker_url)
        self._connection = self._app.connection_for_write(
            connect_timeout=CONNECT_TIMEOUT,
            transport_options={"read_timeout": CONFIRM_TIMEOUT, "write_timeout": CONFIRM_TIMEOUT},
        )
        known = *self._connection.connection_errors, *self._connection.channel_errors
        self._errors = (*known, KombuError, OSError)
        self._published = 0
        self._unconfirmed: set[int] = set()  # by their number on the channel
        self._refused: set[int] = set()

    def __enter__(self) -> "Publisher":
        """Connect and declare the queues; raises BrokerAway."""
        try:
            self._connection.connect()
            channel: Any = self._connection.channel()
            for queue in TASK_QUEUES.values():
                queue(channel).declare()
            channel.confirm_select()
            channel.events["basic_ack"].add(partial(self._note, is_refusal=False))
            channel.events["basic_nack"].add(partial(self._note, is_refusal=True))
            self._producer = self._app.amqp.Producer(channel)
        except self._errors as error:
            self._connection.collect()
            raise BrokerAway(_reason(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is BrokerAway:  # It would not answer a proper goodbye either.
            self._connection.collect()
            return
        with suppress(*self._errors):
            self._connection.close()

    def publish(
        self, task: str, messages: Sequence[Sequence[Handover]]
    ) -> tuple[list[Handover], BrokerAway | None]:
        """Publish persistent messages, each about some rows of one claim.

        Return the rows of those that were not confirmed, and why.
        """
        numbers: dict[int, Sequence[Handover]] = {}
        fault: BrokerAway | None = None
        try:
            for rows in messages:
                self._published += 1
                numbers[self._published] = rows
                self._unconfirmed.add(self._published)
                self._send(task, rows)
            self._wait()
        except self._errors as error:
            fault = BrokerAway(_reason(error))
        missing = self._unconfirmed | self._refused
        if missing and fault is None:
            fault = BrokerAway("it does not confirm what it gets")
        lost = [rows for number, rows in numbers.items() if number in missing]
        return [row for rows in (*lost, *messages[len(numbers) :]) for row in rows], fault

    def _send(self, task: str, rows: Sequence[Handover]) -> None:
        token, row_ids = rows[0].token, rows[0].id if len(rows) == 1 else [row.id for row in rows]
        options: dict[str, Any] = {"producer": self._producer, "queue": TASK_QUEUES[task], "retry": False}
        # By default Celery writes all arguments a second time, for those who look into the queue.
        self._app.send_task(task, (row_ids, token), argsrepr=f"{len(rows)} of {token}", **options)

    def _wait(self) -> None:
        give_up = time.monotonic() + CONFIRM_TIMEOUT
        while self._unconfirmed and (left := give_up - time.monotonic()) > 0:
            try:
                self._connection.drain_events(timeout=left)
            except TimeoutError:
                return

    def _note(self, number: int, multiple: bool, *, is_refusal: bool) -> None:
        """Note a confirmation or a refusal, of one message or of all up to it."""
        meant = {one for one in self._unconfirmed if one <= number} if multiple else {number}
        self._unconfirmed -= meant
        self._refused |= meant if is_refusal else set()


def _reason(error: BaseException) -> str:
    words = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    return str(words).strip().rstrip(".") or "it does not answer"


MESSAGE_LIMIT_BYTES = 4096  # Ours have 1,300 at most.
FORBIDDEN_HEADERS = ("eta", "expires")  # They would let a message wait in the worker, or lapse.
log = logging.getLogger(__name__)


class FilteringConsumer(consumer.Consumer):  # type: ignore[misc]  # Celery has no types.
    """Celery's consumer, but it rejects a message that is not ours, with one line in the log.

    Whoever may publish on this broker is trusted, but a mistake there must not end a worker, or stay with it
    for ever.
    """

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
    except Exception:  # Whatever is wrong, a relay would not have written it.
        return False
    match body:  # By Celery's second protocol these are two positional arguments and nothing else.
        case [[str(), str()], dict() as named, dict() as options]:
            return not named and not any(options.values())
        case [[[*row_ids], str()], dict() as named, dict() as options] if task == DELIVER:
            are_ids = 0 < len(row_ids) <= IDS_PER_MESSAGE and all(isinstance(one, str) for one in row_ids)
            return are_ids and not named and not any(options.values())
    return False
