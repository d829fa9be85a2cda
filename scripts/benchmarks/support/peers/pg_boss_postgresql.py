"""pg-boss on PostgreSQL, in Node.

Tuned: two batches of 250 tasks at once, for each fetch sorts all tasks that wait; the next batch is fetched
at once instead of twice a second; no supervision and no schedules; 32 requests at once; attempts are recorded
in the same database by group commit.
"""

from scripts.benchmarks.support.peers import node

PROGRAM = node.Program("pg_boss.mjs", "pg-boss")
VERSION = PROGRAM.version
SETUP = f"{node.CONCURRENCY} at once each, PostgreSQL"
SERVERS = ("postgresql",)

fill, commands = PROGRAM.fill, PROGRAM.commands
