"""A picture beside each comment, if the owner wants one: drawn, or one of the owner's characters."""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from sqlalchemy import event

from guestbook.comments import comment_actions, comment_form
from guestbook.lib import avatar
from guestbook.storage import preferences
from guestbook.storage.database import db
from guestbook.storage.preferences import LOOKS
from tests.support import factories
from tests.support.visitor import Visitor, add, by_class, set_, text

FACE = f"/pictures/{'0123456789abcdef'}.svg"
NAMES = [f"Visitor {number} of Donaueschingen" for number in range(20)]
HOSTILE_NAMES = ['"><script>alert(1)</script>', "../../etc/passwd", "{{ 7*7 }}", "\u0335a", "דוד", "N" * 80]


def addresses(page: Element) -> list[str]:
    return [one.attrib["src"] for one in by_class(page, "picture")]


# --- the file


def test_a_face_is_kept_for_a_year_and_not_sent_again(visitor: Visitor) -> None:
    answer = visitor.get(FACE)
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not {"Set-Cookie", "Vary"} & set(answer.headers.keys())
    assert len(answer.data) < 1000
    assert ElementTree.fromstring(answer.text).tag.endswith("svg")
    known = {"If-None-Match": answer.headers["ETag"]}
    again = visitor.get(FACE, headers=known)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    head = visitor.open("HEAD", FACE)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])
    assert head.headers["Content-Length"] == str(len(answer.data))


@pytest.mark.parametrize("setting", ["none", "drawn"])
def test_any_id_has_a_face_whether_anybody_has_it_or_not(visitor: Visitor, setting: str) -> None:
    set_(pictures=setting)
    for face_id in ("0" * 16, "f" * 16, "1" * 16, "0" * 15 + "a"):
        assert visitor.get(f"/pictures/{face_id}.svg").text == avatar.svg(face_id)


def test_what_is_no_id_is_not_found(visitor: Visitor) -> None:
    wrong = ["0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "٠" * 16, ""]
    wrong += ["0" * 15 + "０", ".", "..%2F..%2Fx", "0" * 16 + "%0A", "0" * 16 + "%00", "-0123456789abcde"]
    wrong += ["0123456789abcdef.svg", "0123456789abcdef/x", "x" * 5000, " 123456789abcdef"]
    assert {visitor.get(f"/pictures/{name}.svg").status_code for name in wrong} == {404}


def test_no_database_is_asked(app: Flask, visitor: Visitor) -> None:
    with app.app_context():
        said: list[str] = []
        event.listen(db.engine, "checkout", lambda raw, *_: raw.set_trace_callback(said.append))
        factories.sql("UPDATE alembic_version SET version_num = '0024'")
    said.clear()
    assert visitor.get(FACE).status_code == 200
    assert said == []


# --- beside the comments


def test_a_drawn_one_stands_beside_every_comment_and_not_beside_a_reply(app: Flask, visitor: Visitor) -> None:
    set_(pictures="drawn", embed_sites="https://one.example")
    ada, *_ = add(["One", "Two"])
    add(["Three"], name="Grace")
    factories.change(ada, comment_actions.reply, "Thank you")
    key = str(app.secret_key)
    of = {name: f"/pictures/{comment_form.picture_id_of(name, key)}.svg" for name in ("Ada", "Grace")}
    for url in ("/", "/embed"):
        assert addresses(visitor.page(url)) == [of["Grace"], of["Ada"], of["Ada"]]
    [one] = by_class(visitor.page(f"/comments/{ada}"), "picture")
    assert one.attrib == {
        **{"class": "picture", "src": of["Ada"], "alt": "", "width": "36", "height": "36"},
        "loading": "lazy",
    }
    assert visitor.get(of["Ada"]).status_code == 200


def test_what_the_owner_chooses_is_seen_at_once(visitor: Visitor) -> None:
    add(["Hello"])
    set_(pictures="glyphs", glyphs="🐚")
    [one] = by_class(visitor.page(), "picture")
    assert (one.tag, one.attrib, text(one)) == ("span", {"class": "picture", "aria-hidden": "true"}, "🐚")
    set_(glyphs="🌊")
    assert text(by_class(visitor.page(), "picture")[0]) == "🌊"
    set_(pictures="none")
    assert by_class(visitor.page(), "picture") == []


def test_a_hostile_name_gets_a_picture_that_tells_nothing_of_it(visitor: Visitor) -> None:
    set_(pictures="drawn", per_page="100")
    for name in HOSTILE_NAMES:
        add(["Hello"], name=name)
    found = addresses(visitor.page())
    assert len(set(found)) == len(HOSTILE_NAMES)
    assert all(re.fullmatch(r"/pictures/[0-9a-f]{16}\.svg", address) for address in found)


@pytest.mark.parametrize("setting", ["drawn", "glyphs"])
def test_the_page_about_privacy_says_what_the_picture_is_made_of(visitor: Visitor, setting: str) -> None:
    sentence = "The book makes the picture beside a comment from the name."
    assert sentence not in text(visitor.page("/privacy"))
    set_(pictures=setting, glyphs="🐚")
    assert sentence in text(visitor.page("/privacy"))


@pytest.mark.parametrize("look", LOOKS)
def test_a_first_visit_loads_at_most_30_kb_with_20_pictures(visitor: Visitor, look: str) -> None:
    rules = "".join(f".c{number} {{ color: #{number * 999:06x} }}\n" for number in range(500))
    own_css = rules[: preferences.OWN_CSS_LIMIT]
    badges = "".join(f"The badge no. {number} https://a.example/{number}\n" for number in range(20))
    extras = {"smileys": "yes", "background": "stars", "badges": badges, "moods": "happy\ntired"}
    set_(look=look, visitor_looks="yes", pictures="drawn", own_css=own_css, **extras)
    for number, name in enumerate(NAMES):
        add([f"{number} lovely books :-) We stayed for tea, and shall come again next year. " * 2], name=name)
    as_browsers = {"Accept-Encoding": "gzip"}
    links = r'(?:href|src)="(/(?:static|button|own|pictures)[^"]+)"'
    loaded = {"/", "/static/stars.svg", "/static/smileys.svg", *re.findall(links, visitor.get("/").text)}
    assert len([url for url in loaded if url.startswith("/pictures/")]) == len(NAMES)
    sizes = {url: len(visitor.get(url, headers=as_browsers).data) for url in loaded}
    assert sum(sizes.values()) <= 30_000, sizes
