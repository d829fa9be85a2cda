"""Every text for visitors has a translation in each language, with the same placeholders and markup."""

import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

import pytest
from babel.messages import mofile
from babel.messages.catalog import Catalog, Message

from guestbook.lib.errors import Translatable
from guestbook.web import error_pages
from scripts import message_catalogues
from scripts.message_catalogues import TRANSLATED

PLACEHOLDER = re.compile(r"%\(\w+\)s")
MARKUP = re.compile(r"<[^>]*>")
COMMENT = re.compile(r"(?s)\{#.*?#\}")
TRANSLATED_BLOCK = re.compile(r"(?s)\{% trans .*?\{% endtrans %\}")
JINJA = re.compile(r"(?s)\{\{.*?\}\}|\{%.*?%\}")
SPOKEN_ATTRIBUTE = re.compile(r'\b(?:aria-label|alt|title|placeholder)="([^"]*)"')
ATTRIBUTE = re.compile(r'\b[\w-]+="[^"]*"')
WORDS = re.compile(r"[A-Za-z]{2,}[^<\n]*")
# The templates of pages that are English.
FOR_OWNERS = ("admin/*", "moderate.html", "moderated.html", "receiver/*", "snippets/*", "talk.html")
# Of error pages under /admin, and a name that is the same everywhere.
ENGLISH_WORDS = {"Guestbook", "To find out what is wrong,", "ask doctor", "Go to the admin pages"}
ENGLISH_WORDS |= {"Webmention ·", "Webmention"}
ADVICE = "Run scripts/translations, then translate what is new in {}."


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return message_catalogues.extracted()


def parts(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, tuple | list) else (str(text),)


def pairs(catalogue: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {parts(message.id): parts(message.string) for message in messages(catalogue)}


def messages(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id]


def faults(message: Message) -> Iterator[str]:
    """What is wrong with one translation."""
    if message.fuzzy:
        yield "is marked as fuzzy"
    for number, given in enumerate(parts(message.string)):
        if not given.strip():
            yield "is missing"
            continue
        originals = [Counter(PLACEHOLDER.findall(one)) for one in parts(message.id)]
        # Arabic has a word for one of a thing and one for two, which say the number.
        says_the_number = number in (1, 2) and len(parts(message.string)) == 6
        if Counter(PLACEHOLDER.findall(given)) not in originals and not says_the_number:
            yield "has other placeholders"
        if Counter(MARKUP.findall(given)) not in [Counter(MARKUP.findall(one)) for one in parts(message.id)]:
            yield "has other markup"
        if '"' in MARKUP.sub("", given) or "%" in PLACEHOLDER.sub("", given):
            yield "has a character that templates would read as their own"
        if given != given.strip() or "\n" in given:
            yield "has blanks at an edge, or lines"


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_the_texts_that_there_are_and_no_others(texts: Catalog, code: str) -> None:
    catalogue = message_catalogues.read(code)
    assert {message.id for message in messages(catalogue)} == {message.id for message in messages(texts)}, (
        ADVICE.format(message_catalogues.po_path(code))
    )
    assert not catalogue.obsolete


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_translation_is_complete_and_has_the_placeholders_of_its_text(code: str) -> None:
    catalogue = message_catalogues.read(code)
    wrong = [f"{message.id}: {said}" for message in messages(catalogue) for said in faults(message)]
    assert not wrong, ADVICE.format(message_catalogues.po_path(code)) + "\n" + "\n".join(wrong)
    assert all(
        len(parts(message.string)) == catalogue.num_plurals
        for message in messages(catalogue)
        if isinstance(message.id, tuple)
    )


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_the_text(code: str) -> None:
    compiled = mofile.read_mo(BytesIO(message_catalogues.po_path(code).with_suffix(".mo").read_bytes()))
    assert pairs(compiled) == pairs(message_catalogues.read(code)), "Run scripts/translations."


@pytest.mark.parametrize("code", TRANSLATED)
def test_sentences_say_that_nothing_was_changed_in_the_words_that_can_be_left_out(code: str) -> None:
    catalogue = message_catalogues.read(code)
    for phrase in error_pages.UNCHANGED:
        known = catalogue.get(phrase)
        assert known
        for message in messages(catalogue):
            for english, given in zip(parts(message.id), parts(message.string), strict=False):
                assert (phrase in english) == (known.string in given), english


def test_every_language_has_a_catalogue() -> None:
    found = [path.name for path in (message_catalogues.PACKAGE / "translations").iterdir()]
    assert sorted(found) == sorted(TRANSLATED)


def test_texts_are_found_in_templates_and_in_code(texts: Catalog) -> None:
    places = {file for message in messages(texts) for file, _ in message.locations}
    assert {"guestbook/templates/book.html", "guestbook/comments/comment_form.py"} <= places
    assert not [file for file in places if "admin" in file]


def untranslated(template: str) -> set[str]:
    """The words of a template that a page has in all languages."""
    for pattern in (COMMENT, TRANSLATED_BLOCK, JINJA):
        template = pattern.sub("", template)
    spoken = [*SPOKEN_ATTRIBUTE.findall(template), *MARKUP.split(ATTRIBUTE.sub("", template))]
    return {found.strip() for part in spoken for found in WORDS.findall(part)}


def test_the_templates_of_public_pages_have_no_words_that_stay_english() -> None:
    folder = message_catalogues.PACKAGE / "templates"
    owned = {path for pattern in FOR_OWNERS for path in folder.glob(pattern)}
    public = set(folder.rglob("*.html")) - owned
    assert len(public) > 15
    found = {path.name: untranslated(path.read_text()) - ENGLISH_WORDS for path in public}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(("english", "given", "said"), [
    ("Hello %(name)s", "Hallo", "has other placeholders"),
    ("<b>Hello</b>", "Hallo", "has other markup"),
    ("Hello", "", "is missing"),
    ("Hello", 'Hallo "du"', "has a character that templates would read as their own"),
    ("Hello", "Hallo ", "has blanks at an edge, or lines"),
    (("%(count)s day", "%(count)s days"), ("%(count)s Tag", ""), "is missing"),
])  # fmt: skip
def test_a_faulty_translation_is_seen(english: str, given: str, said: str) -> None:
    assert list(faults(Message(english, given))) == [said]
    assert list(faults(Message("Hello", "Hallo", flags=["fuzzy"]))) == ["is marked as fuzzy"]


def test_a_text_keeps_its_words_and_values() -> None:
    text = Translatable("%(what)s has %(length)s", what=Translatable("This name"), length=5000)
    assert (text, text.english) == ("This name has 5,000", "%(what)s has %(length)s")
    days = [Translatable.plural("%(count)s day", "%(count)s days", count) for count in (0, 1, 2000)]
    assert days == ["0 days", "1 day", "2,000 days"]
