"""The signed link: what one says comes back, and no other token is one."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from guestbook.comments import events_and_reminders
from guestbook.comments.events_and_reminders import SignedLink
from guestbook.lib import clock, ids, signed_links

KEY = "a secret key"
NOW = clock.from_text("2026-11-26T12:00:00.123Z")
LINK = SignedLink(ids.new(), NOW, NOW + timedelta(days=7))


def test_what_a_link_says_comes_back() -> None:
    assert events_and_reminders.read_link(LINK.token(KEY), (KEY,)) == LINK


@pytest.mark.parametrize("other", [
    replace(LINK, comment_id=ids.new()),
    replace(LINK, held_at=NOW + timedelta(milliseconds=1)),
    replace(LINK, expires_at=LINK.expires_at + timedelta(days=365)),
])  # fmt: skip
def test_each_part_is_signed(other: SignedLink) -> None:
    signature = LINK.token(KEY)[-signed_links.SIGNATURE_DIGITS :]
    forged = other.token(KEY)[: -signed_links.SIGNATURE_DIGITS] + signature
    assert events_and_reminders.read_link(forged, (KEY,)) is None


def test_no_altered_or_cut_token_is_one() -> None:
    token, luck = LINK.token(KEY), random.Random(1)
    for place, digit in enumerate(token):
        other = luck.choice([one for one in "0123456789abcdef" if one != digit])
        assert events_and_reminders.read_link(token[:place] + other + token[place + 1 :], (KEY,)) is None
        assert events_and_reminders.read_link(token[:place], (KEY,)) is None
    for other in (
        token.upper(),
        token + "0",
        f" {token}",
        f"{token}\n",
        "é" * len(token),
        "٣" * len(token),
        "",
    ):
        assert events_and_reminders.read_link(other, (KEY,)) is None
