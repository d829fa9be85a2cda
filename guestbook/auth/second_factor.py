"""The second factor of the login: codes of an app (TOTP, RFC 6238), and recovery codes for a lost phone.

Its row in the book's state has the app's secret, encrypted, the time step of the last code, and hashes of the
recovery codes that are left. A code is good once, also for somebody who has seen it typed.
"""

import base64
import hmac
import json
import re
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from guestbook.lib import clock, ids
from guestbook.lib.encryption import Unreadable
from guestbook.lib.errors import Refused
from guestbook.storage import audit_log, column_types
from guestbook.storage.models import BookState

FACTOR_NAME = "second_factor"  # the name of its row, and its noun in the audit log
FACTOR_PURPOSE = "second factor"  # the purpose of the encryption of the app's secret
STEP_SECONDS = 30
STEPS_OFF = 1  # steps that the phone's clock may be behind or ahead
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits, in 16 letters and digits
APP_CODE = re.compile("[0-9]{6}", re.ASCII)
WRONG_CODE = "This code is not right, or was used already. Wait for the next one."
ALREADY_ON = "The second factor is on already. Remove it first to set up another app."


class SecondFactor(NamedTuple):
    """The row's value."""

    secret: str  # base32, as apps want it
    last_step: int  # the step of the last code that was used: seconds since 1970 by 30
    recovery: tuple[str, ...]  # hashes of the codes that are left
    since: str

    def matching_step(self, code: str, now: datetime) -> int | None:
        """Return the time step of a code that is right now and was not used; else None."""
        present = int(now.timestamp()) // STEP_SECONDS
        # A last step in the future is from before a clock was put right: it must not lock the owner out.
        last = self.last_step if self.last_step <= present + STEPS_OFF else 0
        steps = range(max(last + 1, present - STEPS_OFF), present + STEPS_OFF + 1)
        if not self.secret or isinstance(self.secret, Unreadable):  # recovery codes still work
            return None
        return next((step for step in steps if hmac.compare_digest(code_at(self.secret, step), code)), None)


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step."""
    import pyotp  # imported here, because most starts need no code

    return str(pyotp.TOTP(secret).generate_otp(step))


def new_secret() -> str:
    """Make a secret of 160 bits, as RFC 4226 advises."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def read(session: Session, *, lock: bool = False) -> SecondFactor | None:
    """Return the second factor, or None when the password is enough."""
    row = session.get(BookState, FACTOR_NAME, with_for_update=lock or None, populate_existing=True)
    if row is None:
        return None
    try:
        kept = json.loads(row.value)
        secret = column_types.keyring_of(session.connection()).read(kept["secret"], FACTOR_PURPOSE)
        return SecondFactor(**kept | {"recovery": tuple(kept["recovery"]), "secret": secret})
    except (ValueError, TypeError, KeyError):  # a row that was broken by hand opens to no code
        return SecondFactor("", 0, (), "")


def is_app_code(code: str) -> bool:
    """Whether it has the form of an app's code."""
    return APP_CODE.fullmatch(_bare(code)) is not None


def set_up(session: Session, secret: str, code: str, now: datetime) -> list[str]:
    """Turn it on with the first code of the app; return the recovery codes, or raise Refused."""
    if read(session, lock=True):
        raise Refused(ALREADY_ON, field="code")
    factor = SecondFactor(secret, 0, (), clock.to_text(now))
    if (step := factor.matching_step(_bare(code), now)) is None:
        raise Refused(WRONG_CODE, field="code")
    factor, codes = _with_new_codes(factor._replace(last_step=step))
    _keep(session, factor)
    audit_log.record(session, "enabled", FACTOR_NAME)
    return codes


def use(session: Session, code: str, now: datetime) -> str | None:
    """Use up a code of the app or a recovery code; return which kind it was, None for a wrong one."""
    factor, typed = read(session, lock=True), _bare(code)
    if factor is None:
        return None
    if is_app_code(typed):
        if (step := factor.matching_step(typed, now)) is None:
            return None
        _keep(session, factor._replace(last_step=step))
        return "code"
    mark = ids.of_secret(typed)
    if mark not in factor.recovery:
        return None
    _keep(session, factor._replace(recovery=tuple(one for one in factor.recovery if one != mark)))
    return "recovery code"


def renew_recovery_codes(session: Session) -> list[str]:
    """Make ten new recovery codes, which replace the old ones; raises Refused when it is off."""
    if (factor := read(session, lock=True)) is None:
        raise Refused("The second factor is off, so there are no recovery codes.", field="password")
    factor, codes = _with_new_codes(factor)
    _keep(session, factor)
    audit_log.record(session, "rotated", FACTOR_NAME, detail="recovery codes")
    return codes


def remove(session: Session) -> bool:
    """Turn it off, so that the password is enough; return whether it was on."""
    if not session.query(BookState).filter_by(name=FACTOR_NAME).delete():
        return False
    audit_log.record(session, "disabled", FACTOR_NAME)
    return True


def _keep(session: Session, factor: SecondFactor) -> None:
    sealed = column_types.keyring_of(session.connection()).encrypt(factor.secret, FACTOR_PURPOSE)
    session.merge(BookState(name=FACTOR_NAME, value=json.dumps(factor._asdict() | {"secret": sealed})))
    session.flush()


def _with_new_codes(factor: SecondFactor) -> tuple[SecondFactor, list[str]]:
    """Return it with new recovery codes, such as `k3fq-7xwz-m2ap-q5ld`, of which it has the hashes alone."""
    letters = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    codes = ["-".join(re.findall("....", one.lower())) for one in letters]
    return factor._replace(recovery=tuple(ids.of_secret(_bare(code)) for code in codes)), codes


def _bare(code: str) -> str:
    """Return a code without what people type for the eye."""
    return re.sub(r"[\s-]", "", code).lower()
