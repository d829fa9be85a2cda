"""The secret part of the address that runs a pass, for hosts without cron. There is one, or none."""

import hmac

from sqlalchemy import delete
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.storage.models import Setting

CRON_TOKEN_NAME = "cron_token"  # of its row among the settings


def read(session: Session) -> str | None:
    """Return the token, or None when there is none."""
    row = session.get(Setting, CRON_TOKEN_NAME)
    return row.value if row else None


def make(session: Session, *, anew: bool = False) -> str:
    """Return the token; make one if there is none, or in any case."""
    token = None if anew else read(session)
    if token is None:
        token = ids.new_url_token()
        session.merge(Setting(name=CRON_TOKEN_NAME, value=token))
        session.flush()
    return token


def remove(session: Session) -> None:
    """Remove the token, so that the address is unknown from now on."""
    session.execute(delete(Setting).where(Setting.name == CRON_TOKEN_NAME))


def matches(session: Session, given: str) -> bool:
    """Whether this is the token; the time that it takes tells nothing of it."""
    token = read(session)
    return token is not None and hmac.compare_digest(token.encode(), given.encode())


def url(base_url: str, token: str) -> str:
    """Return the address that runs a pass."""
    return f"{base_url}/cron/{token}"
