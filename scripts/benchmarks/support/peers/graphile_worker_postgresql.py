"""graphile-worker on PostgreSQL, in Node.

Tuned: its local queue fetches 500 tasks at a time, and completed tasks are deleted in batches, as its
documentation advises for speed; 32 tasks at once; attempts are recorded in the same database by group commit.
"""

from scripts.benchmarks.support.peers import node

PROGRAM = node.Program("graphile_worker.mjs", "graphile-worker")
VERSION = PROGRAM.version
SETUP = f"{node.CONCURRENCY} at once each, PostgreSQL"
SERVERS = ("postgresql",)

fill, commands = PROGRAM.fill, PROGRAM.commands
