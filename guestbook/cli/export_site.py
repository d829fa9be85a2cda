"""The command that writes the book as a static site."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import click
from flask import current_app, get_template_attribute, render_template
from sqlalchemy import Connection

from guestbook.cli import app_command
from guestbook.comments import comment_picture
from guestbook.comments.comment_picture import CommentPicture
from guestbook.comments.exchange import comment_export, site_pages
from guestbook.comments.exchange.site_pages import SitePage
from guestbook.lib import drawn_face, folder_swap
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.storage import engine_setup, preferences
from guestbook.storage.preferences import LOOKS, Preferences

SITE_MARK = ".guestbook-site"  # in a folder that this command has written and may replace
SITE_FILES = ("book.css", "mark.svg")
SITE_PICTURES = "pictures"  # the folder of the drawn ones
LOOK_FILES = {look: (f"look-{look}.css",) for look in LOOKS if look != "paper"} | {
    "1999": ("look-1999.css", "stars.svg")
}
Row = Mapping[str, str]


@click.command("export-site", cls=app_command.AppCommand)
@click.argument("folder", type=click.Path(path_type=Path))
def export_site(folder: Path) -> None:
    """Write the published comments as a static site: HTML pages and JSON.

    FOLDER is made, or replaced in one step. It has index.html, a page for each comment, comments.json and the
    stylesheet, and no form. Its links are relative. The same book gives the same files.
    """
    with engine_setup.opened(app_command.settings()) as engine, comment_export.snapshot(engine) as connection:
        try:
            with folder_swap.replacing(folder, SITE_MARK) as part:
                total = _write(part, connection)
        except OSError as error:
            raise Refused(f"{folder} cannot be written: {error.strerror or error}.") from None
    click.echo(f"Wrote {counted(total, 'comment')} to {folder}.")


def _write(part: Path, connection: Connection) -> int:
    """Write all files; return how many comments they have."""
    book, total = preferences.read(connection), 0
    for name in (*SITE_FILES, *LOOK_FILES.get(book.look, ())):
        shutil.copyfile(Path(str(current_app.static_folder), name), part / name)
    if book.own_css:
        (part / "own.css").write_text(book.own_css, encoding="utf-8")
    with (part / "comments.json").open("w", encoding="utf-8") as file:
        head = {"title": book.title, "url": f"{app_command.settings().base_url}/"}
        file.write(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "comments": [')
        for page in site_pages.pages(connection, book.per_page):
            _write_page(part, page, book)
            for row in page.rows:
                _write_comment(part, row, book)
                line = json.dumps(site_pages.public(row, app_command.settings().base_url), ensure_ascii=False)
                file.write(f"{',' if total else ''}\n{line}")
                total += 1
        file.write("\n]}\n")
    return total


def _write_page(part: Path, page: SitePage, book: Preferences) -> None:
    articles = [
        _article(row, f"comments/{row['id']}/index.html", _picture(row, book), "") for row in page.rows
    ]
    html = render_template("site/page.html", book=book, page=page, articles=articles, root="")
    (part / page.name).write_text(html, encoding="utf-8")


def _write_comment(part: Path, row: Row, book: Preferences) -> None:
    folder = part / "comments" / row["id"]
    folder.mkdir(parents=True)
    root, picture = "../../", _picture(row, book)
    article = _article(row, "index.html", picture, root)
    html = render_template("site/comment.html", book=book, name=row["name"], article=article, root=root)
    (folder / "index.html").write_text(html, encoding="utf-8")
    if picture and not picture.glyph:
        (part / SITE_PICTURES).mkdir(exist_ok=True)
        (part / SITE_PICTURES / f"{picture.id}.svg").write_text(drawn_face.svg(picture.id), encoding="utf-8")


def _article(row: Row, link: str, picture: CommentPicture | None, root: str) -> str:
    """Return a comment as HTML, as the pages of the book show it."""
    render = get_template_attribute("_comment.html", "article")
    article: str = render(site_pages.comment(row), link, picture, f"{root}{SITE_PICTURES}/")
    return article


def _picture(row: Row, book: Preferences) -> CommentPicture | None:
    return comment_picture.of(row["name"], book, app_command.settings().secret_key)
