"""The login: one password, random cookies that end, tries that are counted before they are checked."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing
from guestbook.storage.models import BookState, Limit, Login
from tests.support import factories, speed
from tests.support.at_once import at_once
from tests.support.owner import PASSWORD
from tests.web.conftest import Later

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
pytestmark = pytest.mark.usefixtures("has_password")
EACH = pytest.mark.usefixtures("each_app")


def set_password(password: str) -> None:
    factories.written(lambda session: login.set_password(session, password))


def log_in(password: str = PASSWORD, address: str | None = HERE) -> str:
    return login.log_in(password, address=address, browser="Firefox", settings=factories.settings())


def wrong(address: str | None = HERE) -> float:
    """Try a wrong password; return the seconds to wait where it was not even looked at."""
    try:
        log_in("wrong " + PASSWORD, address)
    except TooManyTries as error:
        return error.seconds
    except WrongPassword:
        return 0
    raise AssertionError("It was taken")


def found(value: str) -> bool:
    db.session.rollback()
    return login.find(db.session(), value) is not None


# --- the password


@EACH
def test_the_right_one_opens_and_no_other() -> None:
    assert found(log_in())
    for password in ("", PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0", "x" * 60_000):
        with pytest.raises(WrongPassword):
            log_in(password, None)
        factories.written(lambda session: session.execute(text("DELETE FROM limits")))


def test_nobody_gets_in_before_there_is_one() -> None:
    factories.written(lambda session: session.execute(text("DELETE FROM book_state")))
    assert not login.has_password(db.session())
    for password in ("", "None", login.UNUSABLE_HASH, PASSWORD):
        with pytest.raises(WrongPassword):
            log_in(password)


def test_a_try_costs_as_much_before_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[dict[str, int]] = []

    def scrypt(*values: Any, salt: bytes, **costly: int) -> bytes:
        costs.append(costly)
        return hashed(*values, salt=salt, **costly)

    hashed = hashlib.scrypt
    monkeypatch.setattr(login, "generate_password_hash", speed.REAL_HASH)
    set_password(PASSWORD)
    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    wrong(None)
    factories.written(lambda session: session.execute(text("DELETE FROM book_state")))
    wrong(None)
    with_one, without = costs
    assert with_one == without


@pytest.mark.parametrize("broken", ["", "plain", "scrypt:0:0:0$a$b", "md5$a$b", "scrypt:x$a$b"])
def test_a_hash_that_somebody_broke_opens_to_nobody(broken: str) -> None:
    factories.written(lambda session: session.merge(BookState(name="password", value=broken)))
    assert wrong() == 0


@pytest.mark.parametrize("password", ["", "x" * 9, "x" * 1001, "e\u0301" * 9])
def test_one_that_is_too_short_or_too_long_is_refused_and_the_rule_is_named(password: str) -> None:
    with pytest.raises(Refused, match=r"^The password must have 10 to 1,000 characters\.$") as refused:
        set_password(password)
    assert set(refused.value.fields) == {"password"}
    assert found(log_in())


@pytest.mark.parametrize("ending", ["\ud800", "\0"])
def test_half_a_character_and_nul_are_no_text(ending: str) -> None:
    with pytest.raises(Refused, match="must be text in UTF-8, without NUL"):
        set_password(PASSWORD + ending)
    with pytest.raises(WrongPassword):
        log_in(PASSWORD + ending)


def test_keyboards_that_put_accents_together_differently_type_the_same_password() -> None:
    set_password("Cafe\u0301 am Ufer")
    assert found(log_in("Caf\u00e9 am Ufer"))
    assert found(log_in("Cafe\u0301 am Ufer"))


# --- cookies


def test_every_login_has_a_value_of_its_own_and_only_its_hash_is_stored() -> None:
    values = {log_in(), log_in()}
    assert len(values) == 2
    assert all(len(value) >= 43 for value in values)
    ids = set(db.session.scalars(select(Login.id)))
    assert len(ids) == 2
    assert not ids & values
    for value in ("", *ids, "é", "\ud800", "x" * 10_000):
        assert not found(value)


def test_a_login_ends_after_fourteen_days(later: Later) -> None:
    value = log_in()
    later(14 * 86_400 - 60)
    assert found(value)
    assert [row.browser for row in login.logins(db.session())] == ["Firefox"]
    later(61)
    assert not found(value)
    assert login.logins(db.session()) == []


def test_a_login_ends_by_logging_out_and_others_go_on() -> None:
    one, other = log_in(), log_in()
    factories.written(lambda session: login.log_out(session, one))
    assert (found(one), found(other)) == (False, True)


@EACH
@pytest.mark.parametrize("end", [login.log_out_everywhere, lambda one: login.set_password(one, PASSWORD)])
def test_all_logins_end_at_once(end: Callable[[object], None]) -> None:
    values = [log_in(), log_in()]
    factories.written(lambda session: end(session))
    assert not any(map(found, values))


def test_who_changes_the_password_stays_logged_in_by_a_new_cookie() -> None:
    before = log_in()
    with writing() as session:
        known = session.get_one(BookState, "password").value
        after = login.change_password(session, "another password", known=known, browser="Firefox")
    assert (found(before), found(after)) == (False, True)


def test_a_password_changed_while_a_try_is_looked_at_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    is_right = login._is_right

    def slowly(stored: str, password: str) -> bool:
        right = is_right(stored, password)
        set_password("another password")
        return right

    monkeypatch.setattr(login, "_is_right", slowly)
    with pytest.raises(WrongPassword):
        log_in()
    assert login.logins(db.session()) == []


def test_what_a_browser_calls_itself_is_kept_short_and_plain() -> None:
    login.log_in(PASSWORD, address=None, browser="Fïrefox\ud800\0" + "x" * 500, settings=factories.settings())
    [row] = login.logins(db.session())
    assert row.browser.startswith("F?refox?")
    assert row.browser.isprintable()
    assert len(row.browser) == 200


# --- tries


def test_after_five_wrong_ones_a_network_waits_longer_and_longer_and_then_may_try_again(later: Later) -> None:
    assert [wrong() for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    with pytest.raises(TooManyTries, match="Please wait 1 second"):
        log_in()
    later(1)
    assert (wrong(), wrong()) == (0, 2)
    later(2)
    assert (wrong(), wrong()) == (0, 4)
    later(4)
    assert found(log_in())
    assert [wrong() for _ in range(6)] == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("tries", [30, 300])
def test_no_number_of_wrong_ones_from_one_network_keeps_the_owner_out(later: Later, tries: int) -> None:
    later.stand_still()
    assert sum(wrong() == 0 for _ in range(tries)) == 5
    assert found(log_in(address=ELSEWHERE))
    with pytest.raises(TooManyTries):
        log_in()
    later(wrong())
    assert found(log_in())


def test_nor_does_any_number_from_many_networks(later: Later) -> None:
    assert not any(wrong(f"10.0.0.{number}") for number in range(100))
    assert wrong("10.1.0.1") == 0
    assert wrong("10.1.0.1") == 1, "under attack a network has one free try"
    assert found(log_in(address=ELSEWHERE))
    later(3600)
    assert [wrong("10.2.0.1") for _ in range(6)] == [0, 0, 0, 0, 0, 1], "an hour later it is over"


def test_many_at_once_gain_nothing(each_app: Flask) -> None:
    db.session.rollback()
    # The sixth is due a second after the fifth, which thirty threads may take.
    assert at_once(each_app, 30, lambda _: wrong()).count(0) in (5, 6)


@pytest.mark.parametrize("jump", [-10 * 365 * 86_400, 365 * 86_400])
def test_a_clock_that_jumps_locks_nobody_out(later: Later, jump: int) -> None:
    for _ in range(12):
        wrong()
    later(jump)
    wait = wrong()
    assert wait <= 1
    later(wait)
    assert found(log_in())


def test_no_address_is_stored() -> None:
    wrong()
    wrong("2001:db8::1")
    log_in(address=ELSEWHERE)
    rows = [row.who for row in db.session.scalars(select(Limit))]
    assert len(rows) == 4, "three networks and everybody; who is right is forgotten"
    assert all(len(who) == 64 and set(who) <= set("0123456789abcdef") for who in rows)
    assert clock.now() - db.session.scalars(select(Limit.last_at)).all()[0] < timedelta(minutes=1)
