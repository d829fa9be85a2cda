"""The owner's login: the password, the code of the second step, and the browsers that are logged in."""

import hmac
import math
import secrets
import threading
import unicodedata
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from guestbook.auth import rate_limit, second_factor
from guestbook.auth.rate_limit import GuessLimit
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.settings import Settings
from guestbook.storage import audit_log
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import writing
from guestbook.storage.models import BookState, Login

LOGIN_LASTS = timedelta(days=14)
SHORTEST, LONGEST = 10, 1000  # characters of a password
BROWSER_LIMIT = 200  # characters, as in schema.sql
WRONG_PASSWORD = "This is not the password."
UNUSABLE_HASH = "scrypt:32768:8:1$nobody$" + "0" * 128  # the hash of no password, while none is set
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aiou"
PASSWORD_WORDS = 5  # words of a password that we make: 16 bits each

_one_at_a_time = threading.Lock()  # scrypt takes 32 MB, and a small host has no room for many of them


class WrongPassword(Refused):
    """The password is not the owner's."""


class CodeNeeded(Exception):
    """The password is right, and the second step must follow."""

    def __init__(self, password_hash: str) -> None:
        super().__init__("The second factor is on.")
        self.password_hash = password_hash


class TooManyTries(Refused):
    """This network has to wait for so many `seconds` before it may try again."""

    def __init__(self, seconds: float, things: str = "passwords") -> None:
        self.seconds = max(1, math.ceil(seconds))
        minutes = round(self.seconds / 60)
        wait = counted(self.seconds, "second") if self.seconds < 90 else counted(minutes, "minute")
        super().__init__(f"There were too many wrong {things}. Please wait {wait}.")


def has_password(session: Session) -> bool:
    """Whether the owner has set one; before that, login is impossible."""
    return password_hash(session) is not None


def set_password(session: Session, password: str) -> None:
    """Set the owner's password, and log out everywhere; raises Refused for one that will not do."""
    value = generate_password_hash(_checked(password), method="scrypt")
    session.merge(BookState(name="password", value=value))
    session.flush()  # a login that is just being opened must go too
    session.execute(delete(Login))
    audit_log.record(session, "changed", "password")


def change_password(session: Session, password: str, *, known: str, browser: str) -> str:
    """Set the password, and keep this browser logged in; return the value of the new login's cookie.

    `known` is the hash that `confirm` returned: raises WrongPassword when another was set since.
    """
    if password_hash(session, lock=True) != known:
        raise WrongPassword(WRONG_PASSWORD, field="password")
    set_password(session, password)
    return _open(session, browser)[1]


def random_password() -> str:
    """Make a password of 80 bits that can be read aloud and typed: five words as `lusab-babad`."""
    letters = (CONSONANTS, VOWELS, CONSONANTS, VOWELS, CONSONANTS)
    return "-".join("".join(map(secrets.choice, letters)) for _ in range(PASSWORD_WORDS))


def log_in(password: str, *, address: str | None, browser: str, settings: Settings) -> str:
    """Return the value of a new login's cookie; raises WrongPassword, TooManyTries or CodeNeeded.

    The transactions are its own, for scrypt takes long.
    """
    known = confirm(password, address=address, settings=settings)
    with writing() as session:
        if password_hash(session, lock=True) != known:  # changed since: the old one is no longer valid
            raise WrongPassword(WRONG_PASSWORD, field="password")
        if second_factor.read(session):
            raise CodeNeeded(known)
        return open_for(session, browser)


def confirm(password: str, *, address: str | None, settings: Settings) -> str:
    """See that this is the owner's password, and return its hash; raises WrongPassword or TooManyTries."""
    limit = GuessLimit(settings.secret_key, "login", address)
    with writing() as session:
        wait = limit.begin(session.connection(), clock.now())
        stored = password_hash(session) or UNUSABLE_HASH
    if wait:
        raise TooManyTries(wait)
    if _is_right(stored, password):
        with writing() as session:
            limit.was_right(session.connection())
        return stored
    with writing() as session:
        limit.was_wrong(session, clock.now(), "password")
    raise WrongPassword(WRONG_PASSWORD, field="password")


def find(session: Session, value: str) -> Login | None:
    """Return the login behind a cookie's value, unless it is over."""
    row = session.get(Login, ids.of_secret(value))
    return row if row and clock.now() < row.expires_at else None


def log_out(session: Session, value: str) -> None:
    """End the login of a cookie, which is worth nothing from now on, wherever it was copied to."""
    session.execute(delete(Login).where(Login.id == ids.of_secret(value)))


def log_out_everywhere(session: Session) -> None:
    """End all logins."""
    session.execute(delete(Login))
    audit_log.record(session, "logged_out", "login", detail="everywhere")


def log_out_others(session: Session, login_id: str) -> None:
    """End all logins but this one."""
    session.execute(delete(Login).where(Login.id != login_id))


def log_out_one(session: Session, login_id: str) -> None:
    """End the login that is listed under this id."""
    row = session.get(Login, login_id)
    if row:
        audit_log.record(session, "logged_out", "login", login_id, detail=row.browser)
        session.execute(delete(Login).where(Login.id == login_id))


def logins(session: Session) -> list[Login]:
    """Return the browsers that are logged in, the latest first."""
    query = select(Login).where(Login.expires_at > clock.now()).order_by(Login.created_at.desc())
    return list(session.scalars(query))


def open_for(session: Session, browser: str, detail: str | None = None) -> str:
    """Open a login for a browser that has shown all that is needed; return its cookie's value."""
    row, value = _open(session, browser)
    actor = Actor("admin", row.id, row.browser)
    audit_log.record(session, "logged_in", "login", row.id, detail=detail, actor=actor)
    return value


def password_hash(session: Session, *, lock: bool = False) -> str | None:
    """Return the hash of the owner's password, if one is set."""
    query = select(BookState.value).where(BookState.name == "password")
    return session.scalar(query.with_for_update() if lock else query)


def _open(session: Session, browser: str) -> tuple[Login, str]:
    value, now = secrets.token_urlsafe(32), clock.now()
    shown = "".join(letter if " " <= letter <= "~" else "?" for letter in browser[:BROWSER_LIMIT])
    row = Login(id=ids.of_secret(value), browser=shown, created_at=now, expires_at=now + LOGIN_LASTS)
    session.add(row)
    return row, value


def _is_right(stored: str, password: str) -> bool:
    if len(password) > LONGEST or not _is_text(password):
        return False
    with _one_at_a_time, suppress(ValueError):  # a hash that was broken by hand
        return check_password_hash(stored, _normal(password))
    return False


def _checked(password: str) -> str:
    """Return the password in its normal form; raises Refused for one that will not do."""
    if len(password) > LONGEST or len(_normal(password)) < SHORTEST:
        raise Refused(f"The password must have {SHORTEST} to {LONGEST:,} characters.", field="password")
    if not _is_text(password):
        raise Refused("The password must be text in UTF-8, without NUL.", field="password")
    return _normal(password)


def _is_text(password: str) -> bool:
    """Whether a password has no half characters, and no NUL: to scrypt `x` and `x\\0` are the same."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in password)


def _normal(password: str) -> str:
    """Return the password as every keyboard makes it."""
    return unicodedata.normalize("NFC", password)


CODE_LIMIT = 100  # characters that are read
CODES_A_DAY = 200  # wrong codes of the app from all networks: one in 300,000 is right
DAY = timedelta(days=1)
ONLY_RECOVERY = "There were too many wrong codes today. Use a recovery code, or wait until tomorrow."
PASSWORD_CHANGED = "The password was changed meanwhile. Log in again."


def mark_of_password(password_hash: str, settings: Settings) -> str:
    """Return a name for a password that the browser may keep until the second step."""
    message = f"second step {password_hash}"
    return hmac.digest(settings.secret_key.encode(), message.encode(), "sha256").hex()


def log_in_by_code(code: str, *, after: str, address: str | None, browser: str, settings: Settings) -> str:
    """Return the value of a new login's cookie; raises TooManyTries, or Refused for a wrong code.

    `after` is the mark of the password that was right: with another password since, nothing opens.
    """
    limit, now = GuessLimit(settings.secret_key, "second step", address), clock.now()
    with writing() as session:
        if wait := limit.begin(session.connection(), now):
            raise TooManyTries(wait, "codes")
    app_codes = rate_limit.who(settings.secret_key, "codes of the app")
    with writing() as session:
        mark = mark_of_password(password_hash(session, lock=True) or "", settings)
        if not hmac.compare_digest(mark, after):
            raise Refused(PASSWORD_CHANGED, field="code")
        wrong = rate_limit.counted(session.connection(), app_codes, now, DAY)
        typed = code[:CODE_LIMIT]
        is_barred = wrong is not None and wrong.hits >= CODES_A_DAY and second_factor.is_app_code(typed)
        kind = None if is_barred else second_factor.use(session, typed, now)
        if kind is not None or second_factor.read(session) is None:  # it was removed meanwhile
            limit.was_right(session.connection())
            return open_for(session, browser, f"with a {kind}" if kind else None)
        if not is_barred:
            rate_limit.take(session.connection(), app_codes, now, CODES_A_DAY, DAY)
        limit.was_wrong(session, now, second_factor.FACTOR_NAME)
    raise Refused(ONLY_RECOVERY if is_barred else second_factor.WRONG_CODE, field="code")
