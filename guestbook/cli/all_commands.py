"""All commands. A pass with nothing to do imports none of them."""

import click

from guestbook.cli import (
    admin,
    audit,
    backup,
    bins,
    comments,
    cron,
    cron_url,
    deliveries,
    doctor,
    encrypt_secrets,
    export_site,
    inbox,
    init_db,
    listen,
    migrate_to,
    receiver_links,
    relay,
    restore,
    run,
    serve,
    sources,
    spam,
    status,
    tokens,
    trigger,
    upgrade,
    webhooks,
)
from guestbook.cli.demo import tour

EVERY_DAY = "Every day"
SECTIONS: dict[str, tuple[click.Command, ...]] = {  # of --help
    EVERY_DAY: (status.status, doctor.doctor, serve.serve, cron.cron),
    "Webhooks that the book sends": (
        webhooks.webhooks,
        receiver_links.receiver_links,
        deliveries.deliveries,
        cron.deliver,
        relay.relay,
        trigger.trigger,
        listen.listen,
    ),
    "Webhooks that the book receives": (sources.sources, inbox.inbox, bins.bins),
    "Comments": (comments.comments, spam.spam, export_site.export_site),
    "Set-up": (
        init_db.init_db,
        upgrade.upgrade,
        admin.admin,
        audit.audit,
        tokens.tokens,
        cron_url.cron_url,
        cron.prune,
        backup.backup,
        restore.restore,
        encrypt_secrets.encrypt_secrets,
        migrate_to.migrate_to,
        tour.demo,
    ),
}
# Of the program `guestbook`. `flask --app guestbook run` is Flask's own development server.
PROGRAM_SECTIONS = {**SECTIONS, EVERY_DAY: (run.run, *SECTIONS[EVERY_DAY])}
