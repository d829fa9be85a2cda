"""The two durable queues and what Celery has to know of them, the same at both ends."""

from celery import Celery
from kombu import Queue

DELIVER = "guestbook.deliver"  # tasks: (row's id, token)
PROCESS = "guestbook.process"
QUEUES = {
    DELIVER: Queue("guestbook.deliveries", routing_key="guestbook.deliveries", durable=True),
    PROCESS: Queue("guestbook.inbound", routing_key="guestbook.inbound", durable=True),
}


def celery_app(broker_url: str) -> Celery:
    """Return a Celery application that knows the queues, and keeps no results: the rows have them."""
    app = Celery("guestbook", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=list(QUEUES.values()),
        task_default_queue=QUEUES[DELIVER].name,
        task_routes={name: {"queue": queue.name} for name, queue in QUEUES.items()},
        task_default_delivery_mode="persistent",
        task_ignore_result=True,
        # A message is gone when its row has an end, not before.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=2,
        worker_consumer="guestbook.background.celery.message_filter:Consumer",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Queues that last no longer than a connection are going out of fashion with RabbitMQ.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app
