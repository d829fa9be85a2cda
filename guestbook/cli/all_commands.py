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
from guestbook.cli.demo import tour

SECTIONS = {  # of --help
    "Every day": (status.status, serve.serve, cron.cron),
    "Webhooks that the book sends": (webhooks.webhooks, deliveries.deliveries, cron.deliver, relay.relay),
    "Webhooks that the book receives": (sources.sources, inbox.inbox, bins.bins),
    "Comments": (comments.comments,),
    "Set-up": (init_db.init_db, admin.admin, tokens.tokens, cron.prune, migrate_to.migrate_to, tour.demo),
}
