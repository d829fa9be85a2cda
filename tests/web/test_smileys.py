"""Text smileys are shown as small pictures if the owner wants it; the text stays, and so does all else."""

import re
from xml.etree import ElementTree

import pytest

from guestbook.comments import comment_actions
from guestbook.web.translation_and_template_filters import SMILEYS, STATIC
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import Visitor, add, by_class, messages, set_, text

DRAWN = ":-) :) ;-) ;) :-D :D :-P :p :-( :( :-o :O <3 8-)"
TEXTS = [  # A link, a path, a number, code and half a tag: none has a smiley.
    "https://a.example/:-) http://b.example/:-D",
    '100:) x:-) (:-)) :-)) 8) C:\\:-P `:-)` {:-)} ":-)" :-)x <3x &lt;3 &#58;-) : -)',
]
HOSTILE = '<img src=x onerror=alert(1)> :-) "><script>alert(1)</script> <3 <b :-) >'
CAT = " /\\_/\\\n( o.o ) :-)\n > ^ <"


def pictures(visitor: Visitor, url: str = "/") -> list[tuple[str, str, str]]:
    """The picture, the words for it and the text of each."""
    found = by_class(visitor.page(url), "smiley")
    assert all(one.tag == "span" and one.attrib["role"] == "img" for one in found)
    return [(one.attrib["class"].split()[1], one.attrib["aria-label"], text(one)) for one in found]


def test_a_new_book_shows_the_text_alone(visitor: Visitor) -> None:
    add([DRAWN])
    assert pictures(visitor) == []
    assert "extras.css" not in visitor.get("/").text


def test_each_has_a_picture_and_words_and_keeps_its_text(visitor: Visitor) -> None:
    set_(smileys="yes")
    [comment_id] = add([DRAWN])
    for url in ("/", f"/comments/{comment_id}"):
        found = pictures(visitor, url)
        assert " ".join(one for _, _, one in found) == DRAWN
        assert [words for _, words, _ in found[-2:]] == ["heart", "sunglasses"]
        assert {picture for picture, _, _ in found} == {picture for picture, _ in SMILEYS.values()}
        assert messages(visitor.page(url)) == [DRAWN]
    german = visitor.client.get("/", headers={"Accept-Language": "de"}).text
    assert 'aria-label="Herz">&lt;3</span>' in german


def test_each_has_its_place_in_the_one_picture() -> None:
    css = (STATIC / "extras.css").read_text()
    numbers = dict(re.findall(r"\.(\w+) \{ --number: (\d); \}", css))
    assert numbers == {picture: str(number) for number, (picture, _) in enumerate(SMILEYS.values())}
    svg = ElementTree.parse(STATIC / "smileys.svg").getroot()
    assert int(svg.attrib["width"]) == int(svg.attrib["height"]) * len(SMILEYS)
    assert f"calc(100% / {len(SMILEYS) - 1} * var(--number)) / {len(SMILEYS)}00% 100%" in css


@pytest.mark.parametrize("message", [*TEXTS, CAT])
def test_links_code_and_drawings_stay_as_they_are(visitor: Visitor, message: str) -> None:
    add([message])
    before = visitor.page()
    set_(smileys="yes")
    assert pictures(visitor) == []
    assert messages(visitor.page()) == messages(before) == [message]
    assert len(by_class(visitor.page(), "message")[0].findall("a")) == message.count("://")


def test_hostile_text_around_one_is_only_text(visitor: Visitor) -> None:
    set_(smileys="yes")
    add([HOSTILE])
    assert [one for _, _, one in pictures(visitor)] == [":-)", "<3", ":-)"]
    [message] = by_class(visitor.page(), "message")
    assert {one.tag for one in message.iter()} == {"p", "span"}
    assert text(message) == HOSTILE


def test_a_reply_and_a_preview_have_them_and_feeds_webhooks_and_the_owner_have_the_text(
    visitor: Visitor, owner: Owner
) -> None:
    set_(smileys="yes")
    factories.webhook()
    visitor.sign(message="Hello :-)")
    [comment] = factories.comments()
    factories.change(comment.id, comment_actions.reply, "Thank you <3")
    assert [one for _, _, one in pictures(visitor)] == [":-)", "<3"]
    previewed = visitor.sign(message="Look ;-)", preview="yes").text
    assert '<span class="smiley wink" role="img" aria-label="wink">;-)</span>' in previewed
    for url in ("/feed.atom", "/feed.json", "/api/v1/comments"):
        answer = visitor.get(url).text
        assert "Hello :-)" in answer
        assert "smiley" not in answer
    assert {row.payload.count("Hello :-)") for row in factories.deliveries()} == {1}
    for url in ("/admin/comments/", f"/admin/comments/{comment.id}"):
        assert by_class(owner.page(url), "smiley") == []


def test_the_front_page_that_is_kept_follows_the_owner(visitor: Visitor) -> None:
    add(["Hello :-)"])
    assert pictures(visitor) == pictures(visitor) == []
    set_(smileys="yes")
    assert [one for _, _, one in pictures(visitor)] == [":-)"]
    set_(smileys="no")
    assert pictures(visitor) == []
