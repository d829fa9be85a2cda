"""scripts/docs makes a website of the documents that needs no other host, with each page as plain text."""

import http.server
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import need
from tests.support import documents, servers
from tests.support.documents import PAGES
from tests.support.processes import ROOT

# The programs for language models read docs/README.md's lists in this form: llmstxt.org.
ENTRY = re.compile(r"- \[([^]]+)\]\(([^)]+)\): (.+[.?])")

# The first test builds the site, which a busy machine does slowly.
pytestmark = [pytest.mark.needs("sphinx"), pytest.mark.timeout(900)]


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a checkout's documents as scripts/docs does."""
    [line] = re.findall(r"(?m)^\.venv/bin/python (.* build/docs)$", (ROOT / "scripts/docs").read_text())
    line = line.replace("build/doctrees", f"{site}.doctrees").replace("build/docs", str(site))
    command = [sys.executable, *shlex.split(line)]
    return subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The website of this checkout."""
    need("sphinx")
    folder = tmp_path_factory.mktemp("documentation") / "site"
    done = build(ROOT, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def names() -> list[str]:
    """All pages, as paths from the checkout without their ending."""
    pages = {*PAGES, *ROOT.glob("*.md")}
    return sorted(page.relative_to(ROOT).with_suffix("").as_posix() for page in pages)


def listed() -> list[str]:
    """The pages in the order of docs/README.md."""
    index = documents.DOCS / "README.md"
    targets = [link.partition("#")[0] for link in documents.links(index)]
    return [(index.parent / one).resolve().relative_to(ROOT).as_posix() for one in targets]


def in_site(site: Path, page: Path, link: str) -> Path:
    """Where a link of a page leads, which must lie in the site."""
    path = unquote(link.partition("#")[0].partition("?")[0])
    target = (page.parent / path).resolve() if path else page
    assert target.is_relative_to(site), link
    return target


def test_each_page_is_there_as_html_and_as_its_markdown(site: Path) -> None:
    for name in names():
        assert (site / f"{name}.md").read_text() == (ROOT / f"{name}.md").read_text()
        assert f'href="{name.rpartition("/")[2]}.md"' in (site / f"{name}.html").read_text()
    assert (site / "index.html").read_text() == (site / "README.html").read_text()


def test_every_link_of_the_html_leads_to_a_place_in_the_site_and_nothing_loads_from_elsewhere(
    site: Path,
) -> None:
    texts = {path: path.read_text() for path in site.rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    for path, text in texts.items():
        for tag, link in re.findall(r'<(\w+)\b[^>]*?\b(?:href|src)="([^"]*)"', text):
            if "://" in link:
                assert tag == "a", link
                continue
            target, anchor = in_site(site, path, link), unquote(link.partition("#")[2])
            assert target.is_file(), (path, link)
            assert not anchor or target == path or anchor in places[target], (path, link)
            assert not anchor or target != path or tag == "use" or anchor in places[path], (path, link)
    styles = [*(one.read_text() for one in site.rglob("*.css")), *texts.values()]
    assert not [found for text in styles for found in re.findall(r"(?:url\(|@import)\W*(?:https?:)?//", text)]


def test_every_link_of_the_markdown_leads_to_a_file_in_the_site(site: Path) -> None:
    for name in names():
        page = site / f"{name}.md"
        for link in documents.links(page):
            assert "://" in link or in_site(site, page, link).is_file(), (name, link)


def test_the_menu_has_the_order_of_the_index(site: Path) -> None:
    menu = (site / "index.html").read_text().partition('class="sidebar-tree"')[2].partition("</aside>")[0]
    shown = re.findall(r'href="([^"#]+)\.html"', menu)
    assert shown[0] == "docs/README"
    assert [f"{name}.md" for name in shown[1 : len(listed()) + 1]] == listed()
    assert sorted([*shown, "README"]) == names()


def test_llms_txt_lists_every_page_once_with_a_sentence(site: Path) -> None:
    title, summary, *lists = (site / "llms.txt").read_text().rstrip("\n").split("\n\n")
    assert title == "# Guestbook"
    assert re.fullmatch(r"> .+\.", summary)
    headings, blocks = lists[::2], lists[1::2]
    assert all(re.fullmatch(r"## \w[^\n]+", heading) for heading in headings)
    entries = [ENTRY.fullmatch(line) for block in blocks for line in block.splitlines()]
    assert None not in entries
    found = [(one[1], one[2], one[3]) for one in entries if one]
    assert [path for _, path, _ in found][: len(listed())] == listed()
    assert sorted(path for _, path, _ in found) == [
        f"{n}.md" for n in names() if n not in ("README", "docs/README")
    ]
    for name, path, sentence in found:
        assert (site / path).read_text().startswith(f"# {name}\n\n")
        assert len(sentence.split()) > 3
        assert "](" not in sentence


def test_llms_full_txt_has_the_text_of_all_pages(site: Path) -> None:
    whole = (site / "llms-full.txt").read_text()
    assert all((ROOT / f"{name}.md").read_text() in whole for name in names())


def test_a_link_to_nothing_a_missing_heading_and_a_page_without_a_sentence_stop_the_build(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "docs").mkdir(parents=True)
    shutil.copy(ROOT / "docs/conf.py", checkout / "docs")
    (checkout / "docs/README.md").write_text("# Two\n\n## Reference\n\n- [Three](three.md)\n")
    (checkout / "docs/three.md").write_text("# Three\n\nA sentence.\n")
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\nA sentence.\n")
    (checkout / "README.md").write_text("# One\n\nSee [two](docs/README.md#reference).\n")
    good = build(checkout, tmp_path / "good")
    assert (good.returncode, good.stderr) == (0, "")
    (checkout / "README.md").write_text(
        "# One\n\nSee [two](docs/README.md#tables) and [four](docs/four.md).\n"
    )
    (checkout / "docs/three.md").write_text("# Three\n\n- A list.\n")
    bad = build(checkout, tmp_path / "bad")
    assert bad.returncode == 1
    assert "'tables'" in bad.stderr
    assert "docs/four.md" in bad.stderr
    assert "docs/three.md has no sentence for llms.txt." in bad.stderr


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as a plain web server does."""
    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Print no line for each request."""


@pytest.mark.needs("chromium")
def test_the_search_finds_a_page_and_asks_no_other_host(site: Path) -> None:
    asked: list[str] = []
    with served(site) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.chromium())
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.fill("input[name=q]", "signature")
        page.press("input[name=q]", "Enter")
        page.click("#search-results a >> text=Verify a signature")
        assert page.inner_text("h1").startswith("Verify a signature")
        browser.close()
    assert len(asked) > 10
    assert [one for one in asked if not one.startswith(url)] == []
