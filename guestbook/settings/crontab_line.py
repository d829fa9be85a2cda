"""The line for the crontab that runs this installation's passes."""

import shlex

from guestbook.settings import Settings, data_folder, installation


def of(settings: Settings) -> str:
    """Return this installation's line for the crontab, in which % would end a command."""
    place = settings.data_dir
    named = "" if data_folder.is_found_by_cron(place) else f"GUESTBOOK_DATA_DIR={shlex.quote(str(place))} "
    return f"* * * * * {named}{installation.crontab_command()}".replace("%", "\\%")
