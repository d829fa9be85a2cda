"""BullMQ on Redis, in Node.

Tuned: 32 tasks at once; done tasks are removed, and the same call fetches the next one; attempts are recorded
in PostgreSQL by group commit. Redis writes the queue to disk only with `appendonly yes`: without that a crash
of Redis loses it.
"""

from scripts.benchmarks.support.peers import node

PROGRAM = node.Program("bullmq.mjs", "bullmq", "ioredis")
VERSION = PROGRAM.version
SETUP = f"{node.CONCURRENCY} at once each, PostgreSQL"
SERVERS = ("redis", "postgresql")

fill, commands = PROGRAM.fill, PROGRAM.commands
