"""The second factor: codes that are good once and for a short time, recovery codes, tries that are slowed."""

import itertools
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import select, text
from werkzeug.security import generate_password_hash

from guestbook.auth import login, second_factor
from guestbook.auth.login import CodeNeeded, TooManyTries
from guestbook.auth.second_factor import FACTOR_NAME
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing
from guestbook.storage.models import AuditEntry, BookState, Login
from tests.support import factories
from tests.support.at_once import at_once
from tests.support.owner import APP_SECRET, PASSWORD, code_at, code_of, keep_second_factor
from tests.web.conftest import Later

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
NEVER = "abcdef"  # no app shows letters


@pytest.fixture(autouse=True)
def recovery(request: pytest.FixtureRequest, later: Later) -> list[str]:
    """A book with a password and a second factor around each test; its recovery codes."""
    request.getfixturevalue("has_password")
    later.stand_still()
    return keep_second_factor()


def take(code: str, address: str | None = HERE) -> bool:
    """Whether password and code open a login."""
    how = {"after": mark(), "browser": "Firefox", "settings": factories.settings()}
    try:
        login.log_in_by_code(code, address=address, **how)
    except TooManyTries:
        raise
    except Refused:
        return False
    return True


def mark() -> str:
    """What the browser keeps after the right password."""
    with pytest.raises(CodeNeeded) as needed:
        login.log_in(PASSWORD, address=HERE, browser="Firefox", settings=factories.settings())
    return login.mark_of_password(needed.value.password_hash, factories.settings())


def logins() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Login)).all())


def wrong(address: str | None = HERE) -> float:
    """Try a wrong code; return the seconds to wait where it was not even looked at."""
    try:
        assert not take("000000" if code_of(APP_SECRET) != "000000" else "000001", address)
    except TooManyTries as error:
        return error.seconds
    return 0


# --- codes


@pytest.mark.usefixtures("each_app")
def test_the_password_alone_opens_nothing() -> None:
    assert mark()
    assert logins() == 0
    assert take(code_of(APP_SECRET))
    assert logins() == 1


@pytest.mark.parametrize("steps", range(-3, 4))
def test_a_phone_s_clock_may_be_one_step_off(later: Later, steps: int) -> None:
    later(120)  # away from the code of the set-up
    assert take(code_of(APP_SECRET, steps)) == (abs(steps) <= 1)


@pytest.mark.usefixtures("each_app")
def test_a_code_is_good_once(later: Later) -> None:
    code = code_of(APP_SECRET)
    assert take(code)
    assert not take(code)
    assert not take(code, ELSEWHERE)
    later(30)
    assert not take(code)
    assert take(code_of(APP_SECRET))
    assert logins() == 2


def test_no_code_before_one_that_was_used_is_good() -> None:
    assert take(code_of(APP_SECRET, 1))
    assert not take(code_of(APP_SECRET))


def test_a_clock_that_was_put_right_locks_nobody_out(later: Later) -> None:
    later(86400 * 365)
    assert take(code_of(APP_SECRET))
    later(-86400 * 365)
    assert take(code_of(APP_SECRET))


@pytest.mark.parametrize("typed", ["{}", " {} ", "{:.3} {:.3}"])
def test_blanks_between_the_digits_do_no_harm(typed: str) -> None:
    code = code_of(APP_SECRET)
    assert take(typed.format(code) if "3" not in typed else f"{code[:3]} {code[3:]}")


@pytest.mark.parametrize(
    "code", ["", "0", "1234567", "١٢٣٤٥٦", NEVER, "é" * 6, "\0", "\ud800", "1" * 100_000]
)
def test_nothing_else_is(code: str) -> None:
    assert not take(code)
    assert logins() == 0


@pytest.mark.parametrize("value", ["", "null", "[]", "{}", '{"secret": "", "last_step": 0}'])
def test_a_row_that_somebody_broke_opens_to_no_code(value: str) -> None:
    factories.written(lambda session: session.merge(BookState(name=FACTOR_NAME, value=value)))
    for code in (code_of(APP_SECRET), code_at("", int(clock.now().timestamp()) // 30)):
        assert not take(code)
    assert logins() == 0


def test_of_two_browsers_at_the_same_moment_one_gets_in(each_app: Flask, recovery: list[str]) -> None:
    after, settings = mark(), factories.settings()
    codes = [code_of(APP_SECRET)] * 4 + [recovery[0]] * 4
    factories.written(lambda session: session.execute(text("DELETE FROM limits")))

    def attempt(number: int) -> None:
        address = f"192.0.2.{number}"
        with suppress(Refused):
            login.log_in_by_code(codes[number], after=after, address=address, browser="", settings=settings)

    at_once(each_app, len(codes), attempt)
    assert logins() == 2


# --- recovery codes


@pytest.mark.usefixtures("each_app")
def test_there_are_ten_and_each_opens_once(recovery: list[str]) -> None:
    assert len(set(recovery)) == 10
    for number, code in enumerate(recovery[:3]):
        assert take(code)
        assert not take(code)
        factor = second_factor.read(db.session())
        assert len(factor.recovery) == 9 - number
    assert take(recovery[3].upper().replace("-", " "))


def test_only_their_hashes_are_stored(recovery: list[str]) -> None:
    stored = " ".join(db.session.scalars(select(BookState.value)))
    for code in recovery:
        assert code not in stored
        assert code.replace("-", "") not in stored


def test_new_ones_replace_the_old(recovery: list[str]) -> None:
    fresh = factories.written(lambda session: second_factor.renew_recovery_codes(session))
    assert not take(recovery[0])
    assert take(fresh[0])


def test_a_second_app_is_refused_until_the_first_is_removed() -> None:
    with writing() as session:
        with pytest.raises(Refused, match="on already"):
            second_factor.set_up(session, APP_SECRET, code_of(APP_SECRET), clock.now())
        assert second_factor.remove(session)
        assert not second_factor.remove(session)
        with pytest.raises(Refused, match="is off"):
            second_factor.renew_recovery_codes(session)
        assert second_factor.set_up(session, APP_SECRET, code_of(APP_SECRET), clock.now())


# --- wrong codes


def test_wrong_codes_are_slowed_and_the_right_password_does_not_help(later: Later) -> None:
    assert [wrong() for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert wrong() == 1  # `wrong` types the right password each time
    later(1)
    assert [wrong(), wrong()] == [0, 2]
    assert take(code_of(APP_SECRET), ELSEWHERE)
    later(30)
    assert take(code_of(APP_SECRET))
    assert [wrong() for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_many_networks_together_have_a_limit(recovery: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "CODES_A_DAY", 10)
    addresses = (f"198.51.100.{number}" for number in itertools.count())
    assert [wrong(next(addresses)) for _ in range(10)] == [0] * 10
    assert not take(code_of(APP_SECRET), next(addresses)), "right, but nobody looks at it"
    assert take(recovery[0], next(addresses))


def test_the_limit_ends_after_a_day(later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "CODES_A_DAY", 1)
    assert wrong() == 0
    assert not take(code_of(APP_SECRET))
    later(86_401)
    assert take(code_of(APP_SECRET))


def test_after_another_password_the_second_step_opens_nothing() -> None:
    before, settings = mark(), factories.settings()
    with writing() as session:
        session.merge(BookState(name="password", value=generate_password_hash("x", method="scrypt:128:1:1")))
    code = code_of(APP_SECRET)
    with pytest.raises(Refused, match="was changed meanwhile"):
        login.log_in_by_code(code, after=before, address=HERE, browser="", settings=settings)
    assert logins() == 0


# --- what the audit log says


def test_logins_and_wrong_codes_are_in_the_audit_log(recovery: list[str]) -> None:
    factories.written(lambda session: session.execute(text("DELETE FROM audit_log")))
    wrong()
    wrong()
    assert take(code_of(APP_SECRET))
    assert take(recovery[0])
    rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(row.actor, row.action, row.object, row.detail, row.number) for row in rows] == [
        ("nobody", "failed", "second_factor", None, 2),
        ("admin", "logged_in", "login", "with a code", 1),
        ("admin", "logged_in", "login", "with a recovery code", 1),
    ]
