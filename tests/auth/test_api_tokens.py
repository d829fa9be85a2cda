"""Tokens: random, kept as hashes alone, gone when they are revoked."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from guestbook.auth import api_tokens
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from tests.support import factories

pytestmark = pytest.mark.usefixtures("each_app")


def add(name: str = "Backup", **how: Any) -> tuple[str, str]:
    with writing() as session:
        token, value = api_tokens.add(session, name, **how)
        return token.id, value


def found(value: str) -> str | None:
    db.session.rollback()
    token = api_tokens.find(db.session(), value)
    return token.id if token else None


def test_a_token_is_found_by_its_value_and_by_nothing_else() -> None:
    token_id, value = add()
    assert value.startswith("gbk_")
    assert found(value) == token_id
    stored = db.session.execute(text("SELECT hash FROM tokens")).scalar_one()
    assert stored == hashlib.sha256(value.encode()).hexdigest()
    for other in ("", value.upper(), value + " ", value + "\0", value[:-1], stored, token_id, "é", "\ud800"):
        assert found(other) is None


def test_a_revoked_one_is_nothing_and_the_others_stay() -> None:
    (first, gone), (second, kept) = add(), add("Phone")
    assert [token.id for token in api_tokens.all_of(db.session())] == [first, second]
    factories.written(lambda session: api_tokens.revoke(session, session.get_one(Token, first)))
    assert (found(gone), found(kept)) == (None, second)


def test_a_form_that_is_sent_twice_makes_one() -> None:
    token_id = ids.new()
    assert add(token_id=token_id)[0] == token_id
    with pytest.raises(IntegrityError):
        add(token_id=token_id)
    assert len(api_tokens.all_of(db.session())) == 1


@pytest.mark.parametrize("name", ["", " \u200b", "\ud800", "x" * 81])
def test_a_name_that_says_nothing_or_too_much_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="The name must have 1 to 80 characters"):
        add(name)
    assert api_tokens.all_of(db.session()) == []
    assert found(add("😀" * 80)[1])


def test_each_scope_may_do_what_the_one_before_may() -> None:
    may = {scope: [other for other in SCOPES if Token(scope=scope).may(other)] for scope in SCOPES}
    assert may == {"read": ["read"], "moderate": ["read", "moderate"], "manage": list(SCOPES)}
    with pytest.raises(Refused, match="There is no scope 'admin'"):
        add(scope="admin")


def test_a_token_of_an_older_book_may_manage() -> None:
    values = "('0', 'Old', 'x', '2026-01-01T00:00:00.000Z')"
    factories.execute(text(f"INSERT INTO tokens (id, name, hash, created_at) VALUES {values}"))
    [token] = api_tokens.all_of(db.session())
    assert (token.scope, token.expires_at, token.last_used_at) == ("manage", None, None)


def test_an_end_comes_when_it_was_set_to() -> None:
    add(expires="90d")
    [token] = api_tokens.all_of(db.session())
    now = clock.now()
    assert not token.has_expired(now + timedelta(days=89))
    assert token.has_expired(now + timedelta(days=90))
    assert [api_tokens.count(db.session(), now + timedelta(days=days)) for days in (0, 91)] == [1, 0]


def test_the_last_use_is_remembered() -> None:
    token_id, now = add()[0], clock.now()
    assert row_changes.note_use(db.session(), db.session.get_one(Token, token_id), now)
    assert db.session.get_one(Token, token_id).last_used_at == now
