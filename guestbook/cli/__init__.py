"""The commands, a file per noun."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the commands to the app."""
    # Imported here: a pass with nothing to do needs none of them.
    from guestbook.cli import (
        admin,
        bins,
        comments,
        cron,
        deliveries,
        help_sections,
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

    for command in (
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
    ):
        app.cli.add_command(command)
    help_sections.show_in_sections(app.cli.commands)
