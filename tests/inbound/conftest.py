"""Each test asks the hosts of its pages for the first time."""

import pytest

from guestbook.inbound import mention_pages


@pytest.fixture(autouse=True)
def _new_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mention_pages, "hosts", mention_pages.HostQuota())
