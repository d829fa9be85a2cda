"""What is published, what waits for the owner, what is spam."""

import random
from dataclasses import replace
from typing import Any

import pytest

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import text_marks
from guestbook.comments.spam.learned_words import Score
from guestbook.comments.spam.spam_rules import (
    PROGRAM_RULES,
    SUSPICION_RULES,
    CommentFacts,
    classify,
    learned_words,
    trained_words,
)
from guestbook.comments.spam.text_marks import Repeated

HELLO = CommentFacts(Draft("Ada", None, "Hello", {}), age=60, is_known_visitor=False)
MARKUP = "[url=http://a.example]x[/url]"


def wrote(message: str, website: str | None = None, **facts: Any) -> CommentFacts:
    return replace(HELLO, draft=Draft(facts.pop("name", "Ada"), website, message, {}), **facts)


SITE, CONTACT = "https://ada.example", "Call me: +1 555 010 9988"
BOTH_MARKUPS, LOOKALIKES = f"{MARKUP} <a href='http://b.example'>", "A new саsino-like wоrld"
PRAISE = "It praises in words that fit any page (*article* and *useful*)"
GAMBLING = "Play roulette and poker all night, free bonus now"
OFFER = "Visit the store, new customers get a voucher"
LEARNED = Score(99.0, (("lantern", 14), ("boat", 1)), 99.0)
# A comment for each rule to which that rule alone objects, with a part of the reason.
OBJECTIONS = {
    "hidden_field": (replace(HELLO, trap=" "), "hidden field, which people cannot see."),
    "quick_link": (wrote("See https://example.org", age=1.24), "a link and was written in 1.2 seconds."),
    "much_link_markup": (wrote(BOTH_MARKUPS), "It holds 2 links in BBCode and HTML, as programs write them."),
    "repeated_spam": (replace(HELLO, repeated=Repeated(False, "spam")), "which is spam here."),
    "flood": (replace(HELLO, flood_ends="12:30 UTC"), "all are held until 12:30 UTC."),
    "unknown_website": (replace(HELLO, is_website_unknown=True), "did not say which website it was on."),
    "listed_word": (replace(HELLO, listed_word="hello"), "*hello*, which is on your list."),
    "many_links": (wrote("http://a.example http://b.example"),
        "2 links and is the first comment of its visitor."),
    "link_markup": (wrote(MARKUP), "a link in BBCode."),
    "name_with_link": (wrote("Hello", name="best-shop.example www.best"), "Its name is or holds an address."),
    "repeated_text": (replace(HELLO, repeated=Repeated(False, "published")),
        "Almost the same text came before, under another name."),
    "foreign_language": (wrote(OFFER, SITE, foreign="another language"),
        "It gives an address and is in another language, unlike the comments in the book."),
    "mixed_scripts": (wrote(LOOKALIKES), "behind letters that only look alike"),
    "contact": (wrote(CONTACT), "It gives a telephone number."),
    "advertising": (wrote(GAMBLING), "It holds *roulette* and *poker* and "),
    "price_and_address": (wrote("Mine was $29", SITE), "It names a price or a percentage, and an address."),
    "empty_praise": (wrote("Great article, useful maps", SITE), PRAISE),
    "trained_words": (wrote(OFFER, SITE), "It reads like the spam that guestbooks get: *"),
    "learned_words": (replace(HELLO, score=LEARNED),
        "*lantern* was spam 14 times here, *boat* was spam once here."),
}  # fmt: skip
FIND_SPAM = ("hidden_field", "quick_link", "much_link_markup", "repeated_spam")
# What rules of advertising object to, the trained score may find too.
ALSO = {"repeated_text", "link_markup", "many_links", "advertising", "trained_words"}


@pytest.mark.parametrize(("place", "note", "reason"), [
    ("www.best-shop.example", None, "Its place is or holds an address."),
    (None, "http://a.example http://b.example", "It holds 2 links"),
    (None, MARKUP, "It holds a link in BBCode."),
    ("Roulette", "Poker all night, free bonus now", "It holds *roulette* and "),
    ("+1 555 010 9988", None, "It gives a telephone number."),
])  # fmt: skip
def test_the_rules_look_at_place_and_note_too(place: str | None, note: str | None, reason: str) -> None:
    found = classify(replace(HELLO, draft=Draft("Ada", None, "Hello", {}, place, note)))
    assert (found.status, found.reasons[0][: len(reason)]) == ("held", reason)


def test_a_note_may_say_how_to_reach_its_visitor() -> None:
    note = "Call me: +1 555 010 9988, or write to ada@example.org"
    assert classify(replace(HELLO, draft=Draft("Ada", None, "Hello", {}, None, note))).status == "published"


def test_each_rule_has_a_comment_that_it_alone_objects_to() -> None:
    rules = PROGRAM_RULES + SUSPICION_RULES
    assert sorted(OBJECTIONS) == sorted(rule.__name__ for rule in rules)
    for name, (facts, _) in OBJECTIONS.items():
        objecting = {rule.__name__ for rule in rules if rule(facts)}
        # A text that repeats spam repeats a text, and link markup holds links: those go together.
        assert name in objecting
        assert objecting - {name} <= ALSO, (name, objecting)


@pytest.mark.parametrize("name", OBJECTIONS)
def test_an_objection_decides_with_its_reason(name: str) -> None:
    facts, reason = OBJECTIONS[name]
    verdict = classify(facts)
    assert verdict.status == ("spam" if name in FIND_SPAM else "held")
    assert reason in str(verdict.text)
    assert 0 < len(str(verdict.reason)) <= 200


def test_the_most_severe_finding_decides_and_all_reasons_are_kept() -> None:
    verdict = classify(replace(HELLO, trap="x", listed_word="hello", repeated=Repeated(True, "held")))
    assert verdict.status == "spam"
    assert str(verdict.text).splitlines() == [
        "It filled in the hidden field, which people cannot see.",
        "It holds *hello*, which is on your list.",
        "Almost the same text came before, under the same name.",
    ]


@pytest.mark.parametrize(
    ("message", "age"), [("Hello", 0.1), ("See https://example.org", 3.0), ("See https://example.org", None)]
)
def test_quick_alone_or_a_link_alone_is_published(message: str, age: float | None) -> None:
    assert classify(wrote(message, age=age)).status == "published"


def test_a_known_visitor_may_write_three_links_and_a_new_one_a_single_link() -> None:
    def status(links: int, is_known: bool) -> str:
        draft = Draft("Ada", None, "http://a.example " * links, {})
        return classify(CommentFacts(draft, age=60, is_known_visitor=is_known)).status

    assert [status(links, True) for links in (1, 2, 3, 4)] == ["published"] * 3 + ["held"]
    assert [status(links, False) for links in (1, 2)] == ["published", "held"]


@pytest.mark.parametrize(
    "words", ["very/that/paragraph.html", "cheap-pills?for=free&price=$5&off=20%25#casino"]
)
def test_words_of_an_address_are_no_words_of_the_text(words: str) -> None:
    for message in ("I read this very nice page", "Cheap printers eat my paper", "You can play chess there"):
        for address in ("https://jane.example.com/", "www.jane.example.com/", "jane.example.com/"):
            plain, told = (classify(wrote(f"{message} {address}{path}")) for path in ("", words))
            assert told == plain


def test_a_reason_says_which_words_stand_in_an_address() -> None:
    found = classify(wrote("Win every day", "https://casino-slots.example"))
    assert (
        "It holds *casino* in an address and *slots* in an address, which advertising uses." in found.reasons
    )
    assert "*casino* in an address" in next(one for one in found.reasons if "reads like the spam" in one)


def test_common_words_alone_never_decide() -> None:
    words = sorted(one for one in text_marks.common_words() if not text_marks.praise(one))
    draw = random.Random(1)
    for _ in range(300):
        message = f"{' '.join(draw.sample(words, 25))} https://jane.example.com/"
        facts = wrote(message, score=Score(99.0, (), 0.0))
        assert trained_words(facts) is None
        assert learned_words(facts) is None


def test_moderation_off_publishes_what_is_suspicious_but_not_what_programs_write() -> None:
    statuses = {name: classify(facts, "off").status for name, (facts, _) in OBJECTIONS.items()}
    kept = {rule.__name__ for rule in PROGRAM_RULES}
    assert {name for name, status in statuses.items() if status != "published"} == kept


def test_every_reason_fits_its_column() -> None:
    long = Draft("ж" * 80, f"https://a.example/{'x' * 480}", "казино viagra " * 280, {})
    score = Score(99.0, (("x" * 61, 10**6), ("y" * 61, 10**6), ("z" * 61, 10**6)), 99.0)
    facts = CommentFacts(long, trap="x", age=1, listed_word="x" * 9000, foreign="Greek", score=score)
    for reason in classify(facts).reasons:
        assert 0 < len(reason) <= 200
