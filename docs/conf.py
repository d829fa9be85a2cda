"""The documentation as a website: Sphinx reads this file when scripts/docs builds it.

The source folder is the checkout, because pages link to files beside docs/. The menu and llms.txt are made
from docs/README.md, so each page is listed in one place.
"""

import re
import shutil
from os.path import normpath
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util import logging

from guestbook.lib import VERSION

ROOT = Path(__file__).parents[1]

project, author, release = "Guestbook", "the authors of Guestbook", VERSION
extensions = ["myst_parser"]
myst_heading_anchors = 6  # the anchors that GitHub gives to headings
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", *(one.name for one in ROOT.iterdir() if one.is_dir() and one.name != "docs")]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": ["view"]}
html_copy_source = False  # add_plain_text puts the Markdown beside the pages
html_use_index = False  # the index of terms would be empty
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Tell Sphinx about the functions below, and that crontab is a language without colours."""
    app.add_lexer("crontab", TextLexer)
    app.connect("source-read", add_menu)
    app.connect("html-page-context", link_plain_text)
    app.connect("build-finished", add_plain_text)


def add_menu(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001  Sphinx passes it
    """Add the menu to the first page, where Sphinx looks for it."""
    if docname == root_doc:
        for title, paths in [("", ["docs/README.md"]), *sections().items()]:
            lines = [
                ":hidden:",
                ":titlesonly:",
                f":caption: {title}" if title else "",
                "",
                *(f"/{path}" for path in paths),
            ]
            source[0] += "\n".join(["\n\n```{toctree}", *lines, "```\n"])


def link_plain_text(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:  # noqa: ARG001
    """Let the button above each page lead to its Markdown."""
    context["theme_source_view_link"] = f"{page.rpartition('/')[2]}.md"


def add_plain_text(app: Sphinx, failure: Exception | None) -> None:
    """Put the Markdown and what it links to beside the pages, and write both indexes for language models."""
    if failure:
        return
    pages = [f"{name}.md" for name in sorted(app.env.found_docs)]
    for name in (*pages, *app.env.dlfiles, *app.env.images):
        (app.outdir / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, app.outdir / name)
    shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")
    summary = " ".join((ROOT / "README.md").read_text().split("\n\n")[1].split())
    lists = ("\n".join((f"## {title}\n", *map(entry, paths))) for title, paths in sections().items())
    (app.outdir / "llms.txt").write_text("\n\n".join((f"# {project}", f"> {summary}", *lists)) + "\n")
    texts = (f"<!-- {name} -->\n\n{(ROOT / name).read_text()}" for name in pages)
    (app.outdir / "llms-full.txt").write_text("\n".join(texts))


def sections() -> dict[str, list[str]]:
    """Return the lists of docs/README.md by their titles, as paths from the checkout, and the other pages."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in (ROOT / "docs/README.md").read_text().splitlines():
        if heading := re.fullmatch(r"## (.+)|([A-Z].+):", line):
            title = heading[1] or heading[2]
        for path in re.findall(r"\]\(([^)#]+\.md)", line):
            found.setdefault(title, []).append(normpath(f"docs/{path}"))
    listed = {"README.md"}.union(*found.values())
    return found | {"The project": sorted(one.name for one in ROOT.glob("*.md") if one.name not in listed)}


def entry(path: str) -> str:
    """Return a page's line in llms.txt: its title, and the first sentence of its prose without links."""
    title, *paragraphs = (ROOT / path).read_text().split("\n\n")
    prose = next((one for one in paragraphs if re.match(r"(?!```)[A-Za-z`\[]", one)), "")
    if not prose:
        logging.getLogger(__name__).warning("%s has no sentence for llms.txt.", path)
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", " ".join(prose.split()))
    sentence = re.split(r"(?<=[.!?])\s", text)[0]
    return f"- [{title.removeprefix('# ')}]({path}): {re.sub(':$', '.', sentence)}"
