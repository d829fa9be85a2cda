"""The owner allows websites to show the book, and copies the code for them."""

import html5lib
from flask import Flask

from guestbook.storage import preferences
from guestbook.storage.database import db, writing
from tests.support.owner import Owner
from tests.support.visitor import by_class, fields, parse, text

URL = "/admin/embed/"


def code(owner: Owner) -> list[str]:
    return [text(element) for element in owner.page(URL).findall(".//pre")]


def kept(app: Flask) -> str:
    with app.app_context():
        return preferences.read(db.session()).embed_sites


def test_without_a_website_there_is_no_code(owner: Owner) -> None:
    assert code(owner) == []
    links = [link.attrib["href"] for link in owner.page("/admin/book/").iter("a")]
    assert URL in links


def test_a_saved_website_gives_the_code_to_copy(app: Flask, owner: Owner) -> None:
    page = owner.does(URL, {"embed_sites": " https://One.example/page \n\nhttps://one.example"}, on=URL)
    assert "The websites are saved." in text(page)
    assert kept(app) == fields(page)["embed_sites"].strip() == "https://one.example"
    assert code(owner) == [
        '<a href="https://book.example/">Guestbook</a>\n'
        '<script src="https://book.example/embed.js" async></script>',
        '<iframe src="https://book.example/embed" title="Guestbook" width="100%" height="900"></iframe>',
    ]


def test_the_title_of_the_frame_has_the_language_of_the_book(app: Flask, owner: Owner) -> None:
    with app.app_context(), writing() as session:
        preferences.save(session, {"language": "de", "embed_sites": "https://one.example"})
    assert 'title="Gästebuch"' in code(owner)[1]
    assert "The book on other websites" in text(owner.page(URL))


def test_the_code_is_safe_to_paste_whatever_the_title(app: Flask, owner: Owner) -> None:
    title = '"><b onclick="x">&amp;'
    with app.app_context(), writing() as session:
        preferences.save(session, {"title": title, "embed_sites": "https://one.example"})
    [element] = html5lib.parseFragment(code(owner)[1], namespaceHTMLElements=False)
    assert element.attrib["title"] == title
    link, script = html5lib.parseFragment(code(owner)[0], namespaceHTMLElements=False)
    assert (link.tag, text(link), script.tag) == ("a", title, "script")


def test_a_wrong_website_comes_back_with_its_reason(app: Flask, owner: Owner) -> None:
    for wrong in ("example.org", "https://*.example.org", "https://one.example 'self'", "x" * 5000):
        answer = owner.post(URL, {"embed_sites": wrong}, on=URL)
        assert answer.status_code == 422
        assert "is not the address of a website" in text(by_class(parse(answer), "reason")[0])
        assert fields(parse(answer))["embed_sites"].strip() == wrong
    many = "\n".join(f"https://{number}.example" for number in range(21))
    assert owner.post(URL, {"embed_sites": many}, on=URL).status_code == 422
    assert kept(app) == ""


def test_the_other_settings_leave_the_websites_alone(app: Flask, owner: Owner) -> None:
    owner.does(URL, {"embed_sites": "https://one.example"}, on=URL)
    form = fields(owner.page("/admin/book/")) | {"moderation": "all", "theme": "dark"}
    owner.does("/admin/book/", form, on=URL)
    assert kept(app) == "https://one.example"


def test_it_can_be_undone(app: Flask, owner: Owner) -> None:
    page = owner.does(URL, {"embed_sites": "https://one.example"}, on=URL)
    [change] = [field.attrib["value"] for field in page.findall(".//input[@name='change']")]
    owner.does("/admin/undo/", {"change": change}, on=URL)
    assert kept(app) == ""
