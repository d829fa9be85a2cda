"""All commands. A pass with nothing to do imports none of them."""

from guestbook.cli import (
    admin,
    bins,
    comments,
    cron,
    deliveries,
    inbox,
    init_db,
    migrate_to,
    relay,
    serve,
    sources,
    status,
    tokens,
    webhooks,
)
from guestbook.cli.demo import demo_command

COMMANDS = (
    init_db.init_db,
    serve.serve,
    migrate_to.migrate_to,
    cron.cron,
    cron.deliver,
    relay.relay,
    cron.prune,
    status.status,
    demo_command.demo,
    webhooks.webhooks,
    deliveries.deliveries,
    inbox.inbox,
    comments.comments,
    sources.sources,
    bins.bins,
    admin.admin,
    tokens.tokens,
)
