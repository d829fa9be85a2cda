"""The line for the crontab that runs this installation's passes."""

import shlex
import sys
from pathlib import Path

from guestbook.settings import CHECKOUT, Settings


def of(settings: Settings) -> str:
    """Return this installation's line for the crontab, in which % would end a command."""
    flask = shlex.quote(str(Path(sys.prefix, "bin", "flask")))
    place = settings.data_dir
    given = "" if place == CHECKOUT / "instance" else f"GUESTBOOK_DATA_DIR={shlex.quote(str(place))} "
    return f"* * * * * {given}{flask} --app guestbook cron".replace("%", "\\%")
