"""The options of cron and deliver. An idle pass reads them too, so this imports only Click."""

import click

from guestbook.cli import option_types, terminal_log

pass_options = option_types.together(
    option_types.max_seconds("Start"),
    click.option("--stay", is_flag=True, help="Stay for --max-seconds and send new deliveries at once."),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 256),
        default=32,
        show_default=True,
        help="How many requests at once; at most a quarter of them to one webhook.",
    ),
    terminal_log.verbose_option("Print what happens to each delivery."),
)
