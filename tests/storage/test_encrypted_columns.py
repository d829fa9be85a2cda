"""No secret lies open in the database, and a change of the secret key loses none."""

from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import select, text

import guestbook
from guestbook.auth import second_factor
from guestbook.lib import clock, signatures
from guestbook.lib.encryption import DAMAGED_VALUE, Unreadable
from guestbook.lib.errors import Refused
from guestbook.outbound.delivery_tasks import NOTHING_SENT, RECEIVER_COLUMNS, Receivers
from guestbook.storage import backup, cron_token, database, encrypted_columns
from guestbook.storage.column_types import Encrypted
from guestbook.storage.database import db
from guestbook.storage.encrypted_columns import SECRET_COLUMNS_OF_BOOK, StoredSecrets
from guestbook.storage.models import ReplyAddress, Source, Webhook
from tests.support import factories, secret_keys
from tests.support.secret_keys import KEY, NEW_KEY

TABLES = ("webhooks", "sources", "reply_addresses", "book_state")
FACTOR_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LONGEST = "🦋" * 100


def fill() -> dict[str, str]:
    """Store every kind of secret; return what must not lie open."""
    key, old_key = signatures.new_key(), signatures.new_key()
    hook = {"secret": LONGEST, "previous_secret": "whsec_previous", "headers": {"X-Key": "hidden value"}}
    factories.webhook(**hook, signing_key=key, previous_signing_key=old_key)
    factories.source(verify="github", secret="of the source", previous_secret="of the source before")
    comment = factories.sign()
    with database.writing() as session:
        code = pyotp.TOTP(FACTOR_SECRET).now()
        second_factor.set_up(session, FACTOR_SECRET, code, clock.now())
        token = cron_token.make(session)
        session.add(ReplyAddress(id=comment, address="ada@example.org", language="en"))
    shown = {**hook, "headers": "hidden value", "key": key, "old key": old_key, "factor": FACTOR_SECRET}
    return {**shown, "source": "of the source", "cron": token, "address": "ada@example.org"}  # type: ignore[dict-item]  # all are text now


def test_each_secret_column_is_encrypted_again_under_its_own_purpose() -> None:
    """Another purpose in the list would make secrets that nobody can read."""
    columns = {
        (table.name, column.name): column.type.purpose
        for table in database.Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Encrypted)
    }
    rows = {("book_state", second_factor.FACTOR_NAME): second_factor.FACTOR_PURPOSE}
    rows |= {("book_state", cron_token.CRON_TOKEN_NAME): cron_token.CRON_PURPOSE}
    listed = {(one.table, one.only or one.column): one.purpose for one in SECRET_COLUMNS_OF_BOOK}
    assert listed == columns | rows


def stored() -> str:
    """Return all that lies in the tables with secrets."""
    with db.engine.connect() as connection:
        tables = [connection.execute(text(f"SELECT * FROM {one}")) for one in TABLES]
        return "\n".join(str(value) for table in tables for row in table for value in row)


def read() -> list[Any]:
    """Return the secrets as the program sees them."""
    with db.session.begin():
        hook, source = db.session.query(Webhook).one(), db.session.query(Source).one()
        factor = second_factor.read(db.session())
        keys = hook.signing_key, hook.previous_signing_key
        of_hook = hook.secret, hook.previous_secret, *keys, *hook.headers.values()
        address = db.session.query(ReplyAddress).one().address
        return [*of_hook, address, source.secret, source.previous_secret, factor and factor.secret]


def renewed() -> StoredSecrets:
    with database.writing() as session:
        return encrypted_columns.encrypt_all(session.connection(), factories.settings().keyring)


@pytest.mark.usefixtures("each_app")
def test_no_secret_lies_open_in_the_tables_on_any_database() -> None:
    hidden = fill()
    lying = stored()
    assert [name for name, secret in hidden.items() if secret in lying] == []
    seen = read()
    assert not any(isinstance(one, Unreadable) for one in seen)
    assert seen[:2] == [LONGEST, "whsec_previous"]
    with database.writing() as session:
        assert cron_token.matches(session, hidden["cron"])
    found = renewed()
    assert (found.total, found.encrypted, found.unreadable) == (10, 0, set())
    assert stored() == lying


@pytest.mark.usefixtures("each_app")
def test_a_secret_that_is_copied_to_another_row_cannot_be_read_there() -> None:
    fill()
    other, source = factories.webhook(headers={"X-Key": "x"}), factories.source(verify="github", secret="s")
    for one in (one for one in SECRET_COLUMNS_OF_BOOK if one.table in ("webhooks", "sources")):
        copied = text(f"UPDATE {one.table} SET {one.column} = :value WHERE id = :id")
        with database.write(db.engine) as connection:
            row_id = {"webhooks": other, "sources": source}[one.table]
            query = f"SELECT {one.column} FROM {one.table} WHERE id <> '{row_id}'"
            value = connection.exec_driver_sql(query).scalar_one()
            connection.execute(copied, {"value": value, "id": row_id})
    with db.session.begin():
        hook, sender = db.session.get_one(Webhook, other), db.session.get_one(Source, source)
        secrets = hook.secret, hook.previous_secret, hook.signing_key, hook.headers["X-Key"]
        assert all(isinstance(one, Unreadable) for one in secrets)
        assert isinstance(sender.secret, Unreadable)
    with db.engine.connect() as connection:
        [row] = connection.execute(select(*RECEIVER_COLUMNS).where(Webhook.id == other))
        found = encrypted_columns.look(connection, factories.settings().keyring)
    assert found.unreadable == {("webhooks", other), ("sources", source)}
    assert found.why == DAMAGED_VALUE
    sent_to = Receivers(factories.settings().keyring).of(row, clock.now())
    assert (sent_to.is_locked, sent_to.error) == (True, f"{NOTHING_SENT}{DAMAGED_VALUE}")


@pytest.mark.usefixtures("app")
def test_a_rotation_of_the_key_keeps_every_secret_and_needs_the_old_key_no_more() -> None:
    fill()
    before = read()
    with database.write(db.engine) as connection:  # as an upgrade leaves them for an older web server
        connection.exec_driver_sql("INSERT INTO settings SELECT * FROM book_state")
    secret_keys.use(NEW_KEY, KEY)
    assert read() == before
    assert renewed().encrypted == 10
    assert renewed().encrypted == 0
    secret_keys.use(NEW_KEY)
    assert read() == before
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("UPDATE book_state SET value = ''")
        copied = "UPDATE book_state SET value = (SELECT value FROM settings WHERE name = book_state.name)"
        connection.exec_driver_sql(copied)
    assert read() == before
    secret_keys.use(KEY)
    assert all(isinstance(one, Unreadable) for one in read())


@pytest.mark.usefixtures("app")
def test_with_another_key_nothing_is_readable_and_nothing_is_lost() -> None:
    fill()
    before, lying = read(), stored()
    secret_keys.use(NEW_KEY)
    assert {str(one) for one in read()} == {"(unreadable)"}
    found = renewed()
    assert {table for table, _ in found.unreadable} == set(TABLES)
    assert found.why == "The secret key is not the one with which this was encrypted."
    with database.writing() as session:  # an owner who changes something else keeps what is stored
        hook = session.query(Webhook).one()
        hook.name, hook.headers = "renamed", dict(hook.headers) | {"X-More": "new"}
        session.query(Source).one().name = "renamed"
        assert not second_factor.use(session, pyotp.TOTP(FACTOR_SECRET).now(), clock.now())
    assert stored() != lying
    secret_keys.use(KEY, NEW_KEY)
    now = read()
    assert now.pop(5) == "new"
    assert now == before


@pytest.mark.usefixtures("app")
def test_recovery_codes_work_without_the_key() -> None:
    with database.writing() as session:
        codes = second_factor.set_up(session, FACTOR_SECRET, pyotp.TOTP(FACTOR_SECRET).now(), clock.now())
    secret_keys.use(NEW_KEY)
    with database.writing() as session:
        assert second_factor.use(session, codes[0], clock.now()) == "recovery code"
    secret_keys.use(KEY)
    with database.writing() as session:  # the secret is as it was
        assert second_factor.read(session).secret == FACTOR_SECRET  # type: ignore[union-attr]  # it was set up


@pytest.mark.usefixtures("app")
def test_secrets_that_were_stored_open_are_read_and_then_encrypted() -> None:
    hook = factories.webhook()
    with database.write(db.engine) as connection:
        connection.execute(
            text("UPDATE webhooks SET secret = 'an old plain secret', headers = '{\"X-Key\": \"open\"}'")
        )
    row = factories.the(Webhook, hook)
    assert (row.secret, row.headers) == ("an old plain secret", {"X-Key": "open"})
    assert renewed().encrypted == 2
    assert "open" not in stored()
    assert "an old plain secret" not in stored()
    db.session.remove()
    row = factories.the(Webhook, hook)
    assert (row.secret, row.headers) == ("an old plain secret", {"X-Key": "open"})


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("broken", ["no JSON", "[1]", '{"secret": 7}', "7"])
def test_what_was_broken_by_hand_stays_as_it_is(broken: str) -> None:
    factories.webhook()
    with database.write(db.engine) as connection:
        connection.execute(text("UPDATE webhooks SET headers = :broken"), {"broken": broken})
        connection.execute(
            text("INSERT INTO book_state (name, value) VALUES ('second_factor', :broken)"), {"broken": broken}
        )
    renewed()
    assert stored().split("\n").count(broken) == 2


@pytest.mark.usefixtures("app")
def test_a_stolen_backup_has_neither_the_key_nor_a_secret(tmp_path: Path) -> None:
    hidden = fill()
    file = backup.write(factories.settings(), tmp_path / "stolen.db").path
    found = [name for name, secret in hidden.items() if secret.encode() in file.read_bytes()]
    assert found == []
    assert KEY.encode() not in file.read_bytes()


@pytest.mark.usefixtures("app")
def test_the_address_for_pingers_is_not_replaced_when_it_cannot_be_decrypted() -> None:
    with database.writing() as session:
        token = cron_token.make(session)
    secret_keys.use(NEW_KEY)
    with pytest.raises(Refused, match="Put the right key in place"), database.writing() as session:
        cron_token.make(session)
    secret_keys.use(KEY)
    assert cron_token.read(db.session()) == token
    secret_keys.use(NEW_KEY)
    with database.writing() as session:
        assert cron_token.make(session, rotate=True) != token


@pytest.mark.usefixtures("app")
def test_a_missing_key_is_made_for_a_new_book_and_never_beside_secrets_of_another_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "secret_key"
    without = {name: value for name, value in environ.items() if name != "GUESTBOOK_SECRET_KEY"}
    hook = factories.webhook(secret=LONGEST)
    for _ in range(2):
        with pytest.raises(SystemExit, match="and the database has secrets that no other key") as refused:
            guestbook.create_app(without)
        assert "GUESTBOOK_SECRET_KEY_FILE. The page docs/howto/keep-the-secret-key.md" in str(refused.value)
        assert not file.exists()
    assert guestbook.create_app(without | {"GUESTBOOK_SECRET_KEY_FALLBACKS": KEY}).secret_key
    file.unlink()
    factories.written(lambda session: session.delete(session.get_one(Webhook, hook)))
    assert guestbook.create_app(without).secret_key == file.read_text()
