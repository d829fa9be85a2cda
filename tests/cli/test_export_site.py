"""The static site has all that is published, and nothing else; its links lead to its files."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest

from guestbook.comments import comment_actions
from guestbook.comments.spam.spam_rules import Classification
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from tests.cli.conftest import Shell
from tests.support import factories
from tests.support.visitor import by_class, messages, text
from tests.web.test_hostile import HOSTILE


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def page(path: Path) -> Element:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    root: Element = parser.parse(path.read_text())
    return root


def set_(**changes: str) -> None:
    factories.written(lambda session: preferences.save(session, changes))


def test_it_is_paged_as_the_book_is_and_has_every_permalink(shell: Shell, tmp_path: Path, site: Path) -> None:
    set_(per_page="2", title="Our island", theme="dark")
    ids = [factories.sign(f"Comment {number}") for number in range(5)]
    assert shell("export-site", str(site)) == f"Wrote 5 comments to {site}.\n"
    shown = [messages(page(site / name)) for name in ("index.html", "page-2.html", "page-3.html")]
    assert shown == [["Comment 4", "Comment 3"], ["Comment 2", "Comment 1"], ["Comment 0"]]
    first = page(site / "index.html")
    assert text(first.find(".//h1")) == text(first.find(".//title")) == "Our island"
    assert first.attrib["data-theme"] == "dark"
    for number, comment_id in enumerate(ids):
        assert messages(page(site / "comments" / comment_id / "index.html")) == [f"Comment {number}"]
    assert sorted(path.name for path in site.iterdir()) == [
        *(".guestbook-site", "book.css", "comments", "comments.json", "index.html", "mark.svg"),
        *("page-2.html", "page-3.html"),
    ]
    shell("export-site", str(tmp_path / "other"))
    one, other = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (site, tmp_path / "other")
    )
    assert one == other, "the same book gives the same files"


def test_it_has_the_look_and_the_own_css(shell: Shell, site: Path) -> None:
    set_(look="1999", own_css="body { color: red }", visitor_looks="yes")
    comment_id = factories.sign("Hello")
    shell("export-site", str(site))
    for path, root in (("index.html", ""), (f"comments/{comment_id}/index.html", "../../")):
        shown = page(site / path)
        assert shown.attrib["data-look"] == "1999"
        sheets = [one.attrib["href"] for one in shown.iter("link") if one.attrib["rel"] == "stylesheet"]
        assert sheets == [f"{root}{name}" for name in ("book.css", "look-1999.css", "own.css")]
    assert (site / "own.css").read_text() == "body { color: red }"
    assert {"look-1999.css", "stars.svg"} <= {path.name for path in site.iterdir()}


@pytest.mark.parametrize(("zone", "day"), [("UTC", "14 July 2026"), ("Europe/Berlin", "15 July 2026")])
def test_dates_are_in_the_time_zone_of_the_book(shell: Shell, site: Path, zone: str, day: str) -> None:
    comment_id = factories.sign("Hello")
    with writing() as session:
        session.get_one(Comment, comment_id).created_at = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)
    set_(timezone=zone)
    shell("export-site", str(site))
    [time] = page(site / "index.html").findall(".//time")
    assert text(time) == day
    assert time.attrib["datetime"] == "2026-07-14T22:30:00.000Z"
    assert "2026-07-14T22:30:00.000Z" in (site / "comments.json").read_text()


def test_drawn_pictures_are_files_in_it_and_characters_are_text(shell: Shell, site: Path) -> None:
    ids = [factories.sign("Hello", name=name) for name in ("Ada", "Grace", "ADA")]
    glyph = "🐚"
    set_(pictures="drawn")
    shell("export-site", str(site))
    drawn = [one.attrib["src"] for one in by_class(page(site / "index.html"), "picture")]
    assert drawn[0] == drawn[2] != drawn[1]
    assert {*drawn} == {f"pictures/{path.name}" for path in (site / "pictures").iterdir()}
    get = shell.runner.app.test_client().get
    assert [(site / place).read_text() for place in drawn] == [get(f"/{place}").text for place in drawn]
    [one] = by_class(page(site / "comments" / ids[0] / "index.html"), "picture")
    assert one.attrib["src"] == f"../../{drawn[0]}"
    set_(pictures="glyphs", glyphs=glyph)
    shell("export-site", str(site))
    assert [text(one) for one in by_class(page(site / "index.html"), "picture")] == [glyph] * 3
    assert not (site / "pictures").exists()


def test_what_the_owner_added_to_the_look_is_in_it(shell: Shell, site: Path) -> None:
    comment_id = factories.sign("Hello :-)")
    set_(smileys="yes", background="waves", badges="My cat https://a.example")
    shell("export-site", str(site))
    assert {"extras.css", "smileys.svg", "waves.svg"} <= {path.name for path in site.iterdir()}
    for path in (site / "index.html", site / "comments" / comment_id / "index.html"):
        shown = page(path)
        assert shown.attrib["data-background"] == "waves"
        assert [text(one) for one in by_class(shown, "smiley")] == [":-)"]
        assert [text(one).strip() for one in by_class(shown, "badge-wall")] == ["My cat"]


def test_every_link_is_relative_and_leads_to_a_file(shell: Shell, site: Path) -> None:
    set_(per_page="2", pictures="drawn")
    for number in range(5):
        factories.sign(f"Comment {number}")
    shell("export-site", str(site))
    paths = list((site).rglob("*.html"))
    assert len(paths) == 8
    for path in paths:
        root = page(path)
        assert not root.findall(".//form") + root.findall(".//script")
        links = [one for tag in ("a", "link", "img") for one in root.iter(tag)]
        assert len(links) > 5
        for link in links:
            file, _, anchor = (link.attrib.get("href") or link.attrib["src"]).partition("#")
            assert not re.search("//|^/", file)
            anchored = root.find(f".//*[@id='{anchor}']") is not None
            assert (path.parent / file).resolve().is_file() if file else anchored


def test_json_has_the_comments_as_the_api_shows_them(shell: Shell, site: Path) -> None:
    comment_id = factories.sign("Grüße 🎈")
    factories.change(comment_id, comment_actions.reply, "Welcome")
    shell("export-site", str(site))
    document = json.loads((site / "comments.json").read_text())
    [shown] = document["comments"]
    assert (document["title"], document["url"]) == ("Guestbook", "https://book.example/")
    from_api = shell.runner.app.test_client().get(f"/api/v1/comments/{comment_id}").json
    assert from_api == shown | {"status": "published"}


def test_only_what_is_published_is_in_it_and_what_goes_is_gone(shell: Shell, site: Path) -> None:
    for status in ("held", "spam", "trash"):
        factories.sign("you must not read this", verdict=Classification(status, ("because",)))
    gone = factories.sign("soon deleted")
    shell("export-site", str(site))
    shell("comments", "delete", gone)
    assert shell("export-site", str(site)) == f"Wrote 0 comments to {site}.\n"
    for path in filter(Path.is_file, site.rglob("*")):
        for words in ("must not", "because", "soon deleted", gone):
            assert words not in path.read_text()
    assert json.loads((site / "comments.json").read_text())["comments"] == []
    assert "Nobody has signed" in (site / "index.html").read_text()


def test_hostile_text_is_inert_in_it(shell: Shell, site: Path) -> None:
    set_(title="<script>]]>{{ 7*7 }}", welcome="</p><b>")
    for words in HOSTILE:
        factories.sign(words, name=words[:80])
    shell("export-site", str(site))
    root = page(site / "index.html")
    assert messages(root) == HOSTILE[::-1]
    assert [text(name) for name in by_class(root, "name")] == [words[:80] for words in reversed(HOSTILE)]
    assert not root.findall(".//script") + root.findall(".//b")


@pytest.mark.parametrize("place", ["file", "full", "file/below"])
def test_what_cannot_be_replaced_is_refused_in_a_sentence(shell: Shell, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    assert re.fullmatch(r"Error: [^\n]*\.\n", shell.refused("export-site", str(tmp_path / place)))
    assert (tmp_path / "full" / "mine").read_text() == "x"
