"""The secret part of the address that runs a pass, for hosts without cron. There is one, or none."""

import hmac

from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.lib.encryption import readable
from guestbook.lib.errors import Refused
from guestbook.storage import audit_log, column_types
from guestbook.storage.models import BookState

CRON_TOKEN_NAME = "cron_token"  # the name of its row in the book's state
CRON_PURPOSE = "cron token"  # the purpose of its encryption
CRON_ADDRESS = "cron_address"  # the noun in the audit log
UNREADABLE_TOKEN = (
    "The address cannot be decrypted with this secret key. Put the right key in place, or make a new address."
)


def read(session: Session) -> str | None:
    """Return the token, or None when there is none, or none that can be decrypted."""
    row = session.get(BookState, CRON_TOKEN_NAME)
    keyring = column_types.keyring_of(session.connection())
    return readable(keyring.read(row.value, CRON_PURPOSE)) if row else None


def make(session: Session, *, rotate: bool = False) -> str:
    """Return the token; make one if there is none, or in any case.

    Raises Refused if there is one that cannot be decrypted: with the right secret key it works again.
    """
    old = read(session)
    if old is None and not rotate and session.get(BookState, CRON_TOKEN_NAME) is not None:
        raise Refused(UNREADABLE_TOKEN)
    token = ids.new_url_token() if rotate or old is None else old
    if token != old:
        sealed = column_types.keyring_of(session.connection()).encrypt(token, CRON_PURPOSE)
        session.merge(BookState(name=CRON_TOKEN_NAME, value=sealed))
        session.flush()
    action = "revealed" if token == old else "rotated" if old else "added"
    audit_log.record(session, action, CRON_ADDRESS)
    return token


def remove(session: Session) -> None:
    """Remove the token, so that the address is unknown from now on."""
    if session.query(BookState).filter_by(name=CRON_TOKEN_NAME).delete():
        audit_log.record(session, "deleted", CRON_ADDRESS)


def matches(session: Session, given: str) -> bool:
    """Whether this is the token; the time that it takes tells nothing of it."""
    token = read(session)
    return token is not None and hmac.compare_digest(token.encode(), given.encode())


def url(base_url: str, token: str) -> str:
    """Return the address that runs a pass."""
    return f"{base_url}/cron/{token}"
