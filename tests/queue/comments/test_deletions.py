"""What comment.deleted does to the deliveries about a comment, on each kind of database."""

import pytest

from guestbook.lib import clock, retry_policy
from guestbook.queue import claims, deleted_comments
from tests.queue.comments.steps import change, claimed, delete, move, rows_of
from tests.support import factories


def test_the_deletion_takes_the_place_of_what_has_not_gone_out(hook: str) -> None:
    other = factories.webhook()  # which does not want to hear of it
    comment_id = factories.sign()
    move(comment_id, "trash")
    rows = rows_of(hook)
    assert [rows[number].status for number in (1, 2, 3)] == ["failed", "failed", "new"]
    for number in (1, 2):
        assert (rows[number].payload, rows[number].last_error) == ("", deleted_comments.SUPERSEDED)
        assert rows[number].erased_at
    assert claimed(hook) == [rows[3].id]
    [unsent] = rows_of(other).values()
    assert (unsent.status, unsent.payload, unsent.last_error) == ("failed", "", deleted_comments.SUPERSEDED)
    move(comment_id, "published")
    assert [row.event for row in rows_of(other).values()] == ["comment.created"] * 2


def test_what_was_given_up_before_is_emptied_and_what_was_delivered_stays(hook: str) -> None:
    comment_id = factories.sign()
    rows = rows_of(hook)
    change(rows[1].id, status="processed", due_at=None, finished_at=clock.now())
    change(rows[2].id, status="failed", due_at=None, finished_at=clock.now(), attempts=9, claims=9)
    move(comment_id, "trash")
    rows = rows_of(hook)
    assert rows[1].payload
    assert not rows[1].erased_at
    assert not rows[2].payload
    assert [row.status for row in rows.values()] == ["processed", "failed", "new"]


@pytest.mark.parametrize("ends", [["trash"], ["trash", "published", "trash"], ["trash", "gone"], ["gone"]])
def test_the_deletion_waits_until_no_request_can_be_under_way(hook: str, ends: list[str]) -> None:
    comment_id = factories.sign()
    until = clock.now() + retry_policy.lease(factories.settings().timeout) / 2
    change(rows_of(hook)[1].id, claimed_by="a pass", claims=1, due_at=until)
    for end in ends:
        delete(comment_id) if end == "gone" else move(comment_id, end)
    waiting = [row for row in factories.deliveries() if row.status == "new"]
    assert [(row.event, row.due_at) for row in waiting] == [("comment.deleted", until)]
    assert not any(row.claimed_by for row in factories.deliveries())


def test_the_deletion_waits_for_a_lease_also_where_the_next_clock_is_ahead(hook: str) -> None:
    comment_id = factories.sign()
    lease = retry_policy.lease(factories.settings().timeout)
    until = clock.now() + lease + claims.CLOCK_SKEW  # A server's leases have the margin.
    change(rows_of(hook)[1].id, claimed_by="a pass", claims=1, due_at=until)
    move(comment_id, "trash")
    assert rows_of(hook)[3].due_at == until


def test_a_comment_that_comes_back_is_announced_to_those_who_have_not_heard_of_it(hook: str) -> None:
    comment_id = factories.sign()
    late = factories.webhook(events="comment.created comment.deleted")
    change(rows_of(hook)[1].id, status="processed", due_at=None, finished_at=clock.now())
    move(comment_id, "trash")
    move(comment_id, "published")
    assert [row.event for row in rows_of(hook).values()][3:] == ["comment.published"]
    assert [row.event for row in rows_of(late).values()] == ["comment.deleted"]
    assert claimed(hook) == [rows_of(hook)[3].id]
