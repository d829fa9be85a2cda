"""The owner's question: what counts as the right answer."""

import pytest

from guestbook.comments.comment_form import is_right_answer

ACCEPTED = "Ginger\n a  red cat \n\n☺"


@pytest.mark.parametrize("given", ["ginger", " GINGER! ", "A red  cat.", "„ginger“", "☺", "ｇｉｎｇｅｒ"])
def test_case_spaces_and_signs_do_not_matter(given: str) -> None:
    assert is_right_answer(given, ACCEPTED)


@pytest.mark.parametrize("given", ["", " ", "!", "a redcat", "ginger a red cat", "x" * 10**6])
def test_other_answers_are_wrong(given: str) -> None:
    assert not is_right_answer(given, ACCEPTED)
