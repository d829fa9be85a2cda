"""The page about the spam rules has every rule and every reason of a refusal, and the right numbers."""

import re

from guestbook.comments.spam import comment_facts, learned_words, spam_rules, texts
from guestbook.comments.spam.spam_rules import PROGRAM_RULES, SUSPICION_RULES
from guestbook.comments.submission import REFUSAL_REASONS
from guestbook.storage.preferences import Preferences
from guestbook.web.visitor_form import VISITOR_COOKIE, VISITOR_LIFETIME
from tests.support.documents import read

PAGE = read("reference/spam-rules")
ROW = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)


def test_the_rules_stand_in_the_order_of_the_tables_of_the_code() -> None:
    rules, refusals = PAGE.split("## Refusals")
    names = [rule.__name__ for rule in PROGRAM_RULES + SUSPICION_RULES]
    assert [name.strip("`") for name in ROW.findall(rules)] == names
    assert set(re.findall(r"`(\w+)`", " ".join(ROW.findall(refusals)))) == set(REFUSAL_REASONS)


def test_its_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert f"less than {spam_rules.QUICKEST_PERSON:g} seconds" in text
    assert f"more than {spam_rules.MOST_LINKS} links, or more than {spam_rules.MOST_FIRST_LINKS}" in text
    assert f"newest {comment_facts.COMPARED_COMMENTS} comments" in text
    assert f"from {comment_facts.FEWEST_COMMENTS} comments on" in text
    assert f"fewer than {texts.FEWEST_LETTERS_MARKED} letters" in text
    assert f"the cookie `{VISITOR_COOKIE}` for {VISITOR_LIFETIME.days} days" in text
    defaults = Preferences()
    assert f"| comments of one network in ten minutes | {defaults.rate} |" in PAGE
    assert f"| comments of the whole book in a minute | {defaults.flood} |" in PAGE
    score = read("explanation/learned-score")
    assert f"the {learned_words.TELLING_WORDS} strongest words" in " ".join(score.split())
    assert learned_words.FEWEST_DECISIONS == 30
    assert "before it knows 30 comments of each kind" in " ".join(score.split())
