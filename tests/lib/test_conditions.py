"""Conditions: which events they want, which are refused, and that an error in one loses nothing."""

from typing import Any

import pytest

from guestbook.lib import conditions
from guestbook.lib.conditions import NOT_WANTED
from guestbook.lib.errors import Refused
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS

COMMENT = {"place": "Berlin", "message": "An invoice, please", "number": 7, "website": None}


@pytest.mark.parametrize(
    ("condition", "is_wanted"),
    [
        (None, True),
        ('comment.place == "Berlin"', True),
        ('comment.place == "Bonn"', False),
        ('"invoice" in comment.message|lower', True),
        ('"bill" in comment.message', False),
        ("comment.number > 5 and not comment.website", True),
        ('comment.place in ["Bonn", "Ulm"] or event == "comment.replied"', False),
        ("comment.nothing", False),
        ("1 == 2 if comment.place else 1 == 1", False),
        ("1 == 2 if comment.nothing else 1 == 1", True),
    ],
)
def test_a_condition_decides(condition: str | None, is_wanted: bool) -> None:
    said = conditions.evaluate(condition, {"event": "comment.created", "comment": COMMENT})
    assert said == ("" if is_wanted else NOT_WANTED)


@pytest.mark.parametrize(
    "condition", ['waiting.since.x == "Berlin"', "comment.number < comment.place", "comment.message * 100000"]
)
def test_an_event_for_which_it_fails_is_wanted(condition: str) -> None:
    said = conditions.evaluate(condition, {"comment": COMMENT})
    assert (said != NOT_WANTED, said.endswith("."), "template" in said.lower()) == (True, True, False)


def checked(value: str | None) -> Any:
    return WEBHOOK_FIELDS["event_condition"].check(value)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("comment.place ==", "Line 1 of the condition: unexpected 'end of condition'."),
        ("a) %}x{% if (b", "without %}"),
        ("comment.message|reverse", "conditions here have no filter 'reverse'"),
        ("{{ comment.place }}", "Line 1 of the condition: "),
        ("a" * 501, "at most 500 characters"),
        ("((" * 200, "condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_a_sentence(wrong: str, sentence: str) -> None:
    with pytest.raises(Refused, match="condition") as refused:
        checked(wrong)
    assert sentence in refused.value.fields["event_condition"]


def test_an_empty_one_is_none() -> None:
    assert (checked(""), checked("  "), checked(None), checked(" a == 1 ")) == (None, None, None, "a == 1")
