"""The second step of a login: after the password a code. Its tries are limited like those of the password.

A code has six digits only. So there is a limit for all networks together too: a thief of the password who has
many networks gets some hundred tries a day. From then on a recovery code is needed, which nobody can guess.
"""

import hmac
from datetime import timedelta

from guestbook.auth import login, rate_limit, second_factor
from guestbook.auth.guess_limit import GuessLimit
from guestbook.auth.login import TooManyTries
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage.database import writing

CODE_LIMIT = 100  # characters that are read
CODES_A_DAY = 200  # wrong ones of the app, of all networks: one in 300,000 is right
DAY = timedelta(days=1)
ONLY_RECOVERY = "There were too many wrong codes today. Use a recovery code, or wait until tomorrow."
PASSWORD_CHANGED = "The password was changed meanwhile. Log in again."


def mark(password_hash: str, settings: Settings) -> str:
    """Return a name for a password that the browser may keep until the second step."""
    return hmac.new(
        settings.secret_key.encode(), f"second step {password_hash}".encode(), "sha256"
    ).hexdigest()


def log_in(code: str, *, after: str, address: str | None, browser: str, settings: Settings) -> str:
    """Return the value of a new login's cookie; raises TooManyTries, or Refused for a wrong code.

    `after` is the mark of the password that was right: with another password since, nothing opens.
    """
    limit, now = GuessLimit(settings.secret_key, "second step", address), clock.now()
    with writing() as session:
        if wait := limit.begin(session, now):
            raise TooManyTries(wait, "codes")
    app_codes = rate_limit.who(settings.secret_key, "codes of the app")
    with writing() as session:
        if not hmac.compare_digest(mark(login.password_hash(session, lock=True) or "", settings), after):
            raise Refused(PASSWORD_CHANGED, field="code")
        is_spent = rate_limit.count(session.connection(), app_codes, now, within=DAY) >= CODES_A_DAY
        typed = code[:CODE_LIMIT]
        is_barred = is_spent and second_factor.is_app_code(typed)
        kind = None if is_barred else second_factor.use(session, typed, now)
        if kind is not None or second_factor.read(session) is None:  # it was removed meanwhile
            limit.was_right(session)
            return login.open_for(session, browser, f"with a {kind}" if kind else None)
        if not is_barred:
            rate_limit.take(session.connection(), app_codes, now, most=CODES_A_DAY, within=DAY)
        limit.was_wrong(session, now, second_factor.FACTOR_NAME)
    raise Refused(ONLY_RECOVERY if is_barred else second_factor.WRONG_CODE, field="code")
