"""The owner's authenticator app, made of the formulas of RFC 4226 and RFC 6238 alone."""

import base64
import hmac
import struct

from flask import Flask

from guestbook.auth import second_factor
from guestbook.lib import clock
from guestbook.storage.database import writing

APP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # the 20 bytes of RFC 6238, appendix B, in base32


def code_of(secret: str, steps: int = 0) -> str:
    """Return the code that an app shows now, or as many time steps later."""
    return code_at(secret, int(clock.now().timestamp()) // 30 + steps)


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226 section 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0xF
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def keep_second_factor() -> list[str]:
    """Turn the second factor on with the code before the present one; return the recovery codes."""
    with writing() as session:
        return second_factor.set_up(session, APP_SECRET, code_of(APP_SECRET, -1), clock.now())


def turn_second_factor_on(app: Flask) -> list[str]:
    """Do so where no context is around the test."""
    with app.app_context():
        return keep_second_factor()
