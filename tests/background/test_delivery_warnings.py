"""After a pass the owner hears of what was given up, and of what held the pass up."""

import logging

import pytest

from guestbook.background import housekeeping
from guestbook.outbound.attempt_recorder import Tally


def test_each_webhook_and_each_fault_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally(host_limit="Few files.", disabled=["webhook Bea was disabled"])
    tally.given_up.update({("Bea", "2"): 1, ("Ada", "1"): 3})
    with caplog.at_level(logging.WARNING):
        housekeeping.log_warnings(tally)
    ada, bea, *others = caplog.messages
    assert ada.startswith("3 deliveries were given up for webhook Ada. See: ")
    assert ada.endswith("deliveries list --status failed --webhook 1")
    assert bea.startswith("1 delivery was given up for webhook Bea. See: ")
    assert others == ["Few files.", "webhook Bea was disabled."]


def test_a_pass_that_ended_early_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    sentence = "This host allows not a single request: it limits open files."
    housekeeping.log_warnings(Tally(local_error=sentence, host_limit="open files"))
    assert caplog.messages == [f"the pass ended early, and what is due waits. {sentence}"]
