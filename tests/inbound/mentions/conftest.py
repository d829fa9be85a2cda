"""Each test asks the hosts of its pages for the first time."""

import pytest

from guestbook.inbound.mentions import page_reader


@pytest.fixture(autouse=True)
def _new_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_reader, "hosts", page_reader.HostQuota())
