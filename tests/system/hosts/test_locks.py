"""What a pass locks is what it works on, and nothing that the passes of other machines need."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from guestbook.lib import clock
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, Webhook
from tests.support.book import Book

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)


def test_a_claim_and_its_end_lock_no_webhook(each_book: Book) -> None:
    webhook_id = each_book.webhook("http://127.0.0.1:1/")
    each_book.stock(webhook_id, 2)
    now = clock.now()
    with database.write(each_book.engine) as connection:
        rows = claims.claim(connection, DELIVERIES, ("id", "sequence"), webhook_id, now=now, limit=2)
        until = now + timedelta(seconds=60)
        leased = claims.lease(connection, DELIVERIES, rows, now=now, until=until, token="t")
        assert len(leased) == 2
        claims.finish(connection, DELIVERIES, sorted(leased), "processed", finished_at=now)
        with database.write(each_book.engine) as other:  # as another pass that writes down its health
            query = select(Webhook.id).with_for_update(nowait=True, key_share=True)
            assert other.scalars(query).all() == [webhook_id]
