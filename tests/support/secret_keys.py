"""Another secret key for the app around a test, as after a restart with another setting."""

from dataclasses import replace

from flask import current_app

from guestbook.storage import column_types
from guestbook.storage.database import db
from tests.support import factories

KEY = "a secret key for tests alone"  # of the settings that tests have
NEW_KEY = "the secret key after it was rotated"


def use(key: str, *older: str) -> None:
    """Let the app have this secret key, and these older ones."""
    read = replace(factories.settings(), secret_key=key, secret_key_fallbacks=older)
    current_app.config["GUESTBOOK"] = read
    current_app.secret_key = key
    column_types.use_keyring(db.engine, read.keyring)
    db.session.remove()
