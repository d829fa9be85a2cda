"""The commands, a file per noun."""

from flask import Flask

from guestbook.cli import (
    admin,
    bins,
    comments,
    deliveries,
    demo,
    help,
    inbox,
    migrate,
    passes,
    relay,
    serve,
    setup,
    sources,
    status,
    tokens,
    webhooks,
)


def register(app: Flask) -> None:
    """Hang the commands on the app."""
    for command in (
        setup.init_db,
        serve.serve,
        migrate.migrate_to,
        passes.cron,
        passes.deliver,
        relay.relay,
        passes.prune,
        status.status,
        demo.demo,
        webhooks.webhooks,
        deliveries.deliveries,
        inbox.inbox,
        comments.comments,
        sources.sources,
        bins.bins,
        admin.admin,
        tokens.tokens,
    ):
        app.cli.add_command(command)
    help.show_in_sections(app.cli.commands)
