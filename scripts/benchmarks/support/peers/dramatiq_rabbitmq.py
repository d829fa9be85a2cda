"""dramatiq on RabbitMQ.

Tuned: eight threads, its own default; none of its middleware, not even retries. Durable by its nature: a
durable queue, persistent messages, acknowledged when the task is done.
"""

from functools import partial

from dramatiq.brokers.rabbitmq import RabbitmqBroker

from scripts.benchmarks.support.peers import dramatiq_work, job

SETUP = dramatiq_work.SETUP
SERVERS = ("rabbitmq",)

queue = RabbitmqBroker(url=job.setting("RABBITMQ"), middleware=[])
deliver = dramatiq_work.task(queue, job.setting("QUEUE") or "bench")

fill = partial(dramatiq_work.fill, deliver)
commands = partial(dramatiq_work.commands, __name__)
