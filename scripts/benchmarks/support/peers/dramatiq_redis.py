"""dramatiq on Redis.

Tuned: eight threads, as on RabbitMQ; none of its middleware, not even retries. A message stays in Redis until
its task is done, but Redis writes it to disk only with `appendonly yes`: without that a crash of Redis loses
it.
"""

from functools import partial

from dramatiq.brokers.redis import RedisBroker

from scripts.benchmarks.support.peers import dramatiq_work, job

SETUP = dramatiq_work.SETUP
SERVERS = ("redis",)

queue = RedisBroker(url=job.setting("REDIS"), middleware=[], namespace=job.setting("QUEUE") or "bench")
deliver = dramatiq_work.task(queue, "deliver")

fill = partial(dramatiq_work.fill, deliver)
commands = partial(dramatiq_work.commands, __name__)
