"""Every GUESTBOOK_ setting; `all_settings` has their types, defaults and meanings."""

from guestbook.settings.all_settings import RETRY_SCHEDULE, SETTING_NAMES, Settings, load, read_all
from guestbook.settings.environment import SETTING_PREFIX, NotNow, SettingsError

__all__ = [
    "RETRY_SCHEDULE",
    "SETTING_NAMES",
    "SETTING_PREFIX",
    "NotNow",
    "Settings",
    "SettingsError",
    "load",
    "read_all",
]
