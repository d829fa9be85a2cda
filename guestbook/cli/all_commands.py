"""All commands by their names, and where each is. A command is imported when somebody types or lists it."""

from importlib import import_module

import click

EVERY_DAY = "Every day"
SECTIONS: dict[str, dict[str, str]] = {  # of --help: names, and modules of this folder
    EVERY_DAY: {"status": "status", "doctor": "doctor", "serve": "serve", "cron": "cron"},
    "Webhooks that the book sends": {
        "webhooks": "webhooks",
        "receiver-links": "receiver_links",
        "deliveries": "deliveries",
        "deliver": "cron",
        "relay": "relay",
        "trigger": "trigger",
        "listen": "listen",
    },
    "Webhooks that the book receives": {"sources": "sources", "inbox": "inbox", "bins": "bins"},
    "Comments": {"comments": "comments", "spam": "spam", "export-site": "export_site"},
    "Set-up": {
        "init-db": "init_db",
        "upgrade": "upgrade",
        "admin": "admin",
        "audit": "audit",
        "tokens": "tokens",
        "cron-url": "cron_url",
        "prune": "cron",
        "backup": "backup",
        "restore": "restore",
        "encrypt-secrets": "encrypt_secrets",
        "migrate-to": "migrate_to",
        "take-over": "take_over",
        "demo": "demo.tour",
    },
}
# Of the program `guestbook`. `flask --app guestbook run` is Flask's own development server.
PROGRAM_SECTIONS = {**SECTIONS, EVERY_DAY: {"run": "run", **SECTIONS[EVERY_DAY]}}
NEEDING_PAGES = {"run", "serve", "export-site"}  # these need the application with all its pages
COMMAND_MODULES = {name: module for section in PROGRAM_SECTIONS.values() for name, module in section.items()}


def load(name: str) -> click.Command:
    """Import the command of this name."""
    from guestbook.cli import help_sections

    command: click.Command = getattr(
        import_module(f"guestbook.cli.{COMMAND_MODULES[name]}"), name.replace("-", "_")
    )
    help_sections.uncut(command)
    return command


def load_all(sections: dict[str, dict[str, str]]) -> dict[str, tuple[click.Command, ...]]:
    """Import the commands of all sections."""
    return {title: tuple(map(load, names)) for title, names in sections.items()}
