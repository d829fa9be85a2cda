"""A tile behind the pages and a wall of badges at their foot: the owner's, on the public pages alone."""

from xml.etree import ElementTree

import pytest

from guestbook.storage.preferences import BACKGROUNDS
from guestbook.web.translation_and_template_filters import STATIC
from tests.support.owner import Owner
from tests.support.visitor import Visitor, add, by_class, parse, set_, text

TILES = [name for name in BACKGROUNDS if name != "none"]
BADGES = "My cat https://a.example/cat?x=1&y=2\nNo cookies\n<b>\"x\"</b> 'y'"


def background(visitor: Visitor, url: str = "/") -> str | None:
    return parse(visitor.get(url)).attrib.get("data-background")


def test_a_new_book_has_neither(visitor: Visitor) -> None:
    assert background(visitor) is None
    assert by_class(visitor.page(), "badge-wall") == []
    assert "extras.css" not in visitor.get("/").text


def test_a_background_is_behind_public_pages_alone(visitor: Visitor, owner: Owner) -> None:
    set_(background="waves", embed_sites="https://one.example")
    [comment_id] = add(["Hello"])
    for url in ("/", f"/comments/{comment_id}", "/privacy", "/nowhere"):
        assert background(visitor, url) == "waves", url
        assert "/static/extras.css?v=" in visitor.get(url).text
    assert background(visitor, "/embed") is None, "the page around the frame has its own"
    assert background(visitor, "/admin/login") is None
    assert background(owner, "/admin/look/") is None
    set_(background="none")
    assert background(visitor) is None


@pytest.mark.parametrize("name", TILES)
def test_each_tile_is_tiny_and_without_a_script_and_the_stylesheet_knows_it(name: str) -> None:
    data = (STATIC / f"{name}.svg").read_bytes()
    assert len(data) < 700
    assert {one.tag.partition("}")[2] for one in ElementTree.fromstring(data).iter()} == {"svg", "path"}
    assert f'url("{name}.svg")' in (STATIC / "extras.css").read_text()


def test_badges_are_a_list_of_the_owner_s_words_with_the_links_that_there_are(
    visitor: Visitor, owner: Owner
) -> None:
    set_(badges=BADGES, embed_sites="https://one.example")
    [wall] = by_class(visitor.page(), "badge-wall")
    assert (wall.tag, wall.attrib["aria-label"]) == ("ul", "Badges")
    assert [text(item) for item in wall.findall("li")] == ["My cat", "No cookies", "<b>\"x\"</b> 'y'"]
    [link] = wall.iter("a")
    assert (link.attrib["href"], link.attrib["rel"]) == ("https://a.example/cat?x=1&y=2", "noopener")
    for url in ("/privacy", "/nowhere"):
        assert len(by_class(parse(visitor.get(url)), "badge-wall")) == 1
    for page in (visitor.page("/embed"), owner.page("/admin/")):
        assert by_class(page, "badge-wall") == []
