"""README, docs/ and CONTRIBUTING are true: what they name exists, what exists is named, links lead on."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import guestbook
from guestbook import settings
from guestbook.cli import run
from guestbook.lib import VERSION
from guestbook.outbound.event_catalogue import EVENTS
from tests.repo.test_imports import FLOORS
from tests.support import documents
from tests.support.documents import PAGES, README
from tests.support.processes import ROOT

OF_TESTS = ("DATABASE_URL", "REQUIRE", "SCREENSHOTS", "POSTGRESQL", "MARIADB", "KILLS", "BACKLOG", "PODMAN")
FOR_THE_TESTS = {f"GUESTBOOK_TEST_{name}" for name in OF_TESTS}
WITHOUT_DATABASE = {"TESTING": True, "SQLALCHEMY_DATABASE_URI": "sqlite://"}
FOREIGN_OPTIONS = {"--pool", "--quick", "--hypothesis-profile", "--from"}  # of Celery, the tests and uvx
FOREIGN_OPTIONS |= {"--build", "--detach"}  # of Docker
BENCH_OPTIONS = {"--apart", "--count", "--database", "--delay", "--hanging"}
BENCH_OPTIONS |= {"--peers", "--processes", "--rows"}
CONTRIBUTING, SECURITY = ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"
PLACEHOLDERS = ("NAME", "NOUN")
KINDS = {"tutorial", "howto", "reference", "explanation"}
CALL = re.compile(r"\bguestbook (?!guestbook )([a-z].*)")  # after `flask --app`, or the program itself
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def top_level() -> dict[str, click.Command]:
    """The commands and groups of an app without a database, and `run`."""
    return {**guestbook.create_app(WITHOUT_DATABASE).cli.commands, "run": run.run}


@cache
def commands() -> dict[str, click.Command]:
    """Ours, by what one types for them."""
    found: dict[str, click.Command] = {}
    for name, command in top_level().items():
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": one for below, one in command.commands.items()}
        else:
            found[name] = command
    return found


def options(command: click.Command) -> set[str]:
    given = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    return {text for one in given for text in (*one.opts, *one.secondary_opts)}


# --- the pages


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 130


def test_every_page_is_of_one_kind_and_the_index_lists_it() -> None:
    assert {page.parent.name for page in PAGES[1:]} == KINDS | {"docs"}
    index = documents.DOCS / "README.md"
    listed = [(index.parent / link).resolve() for link in documents.links(index) if "#" not in link]
    assert sorted(listed) == sorted(page for page in PAGES if page not in (README, index))


@pytest.mark.parametrize(
    "page", [*PAGES, CONTRIBUTING, SECURITY], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in documents.links(page):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in documents.anchors(target), link


def test_the_readme_shows_the_book_and_the_admin_pages_in_small_pictures() -> None:
    pictures = [link for link in documents.links(README) if link.endswith(".png")]
    assert pictures == [f"docs/{name}.png" for name in ("in-a-page", "look-1999", "admin")]
    assert all((ROOT / one).stat().st_size < 150_000 for one in pictures)


# --- what they name


def test_the_picture_in_contributing_has_the_floors_that_imports_keep() -> None:
    [picture] = documents.blocks(CONTRIBUTING.read_text(), "text")
    drawn = [set(line[:26].split()) for line in picture.splitlines()]  # the words before the explanation
    assert drawn == [set(rooms) for rooms in FLOORS]


def test_every_file_that_contributing_names_exists() -> None:
    text, package = CONTRIBUTING.read_text(), ROOT / "guestbook"
    named = re.findall(r"`([\w./]+/[\w./]*)`", text) + re.findall(r"(?<=[ \n])tests/[\w./]+", text)
    assert len(named) > 40
    named = [name for name in named if not any(word in name for word in PLACEHOLDERS)]
    assert [name for name in named if not (ROOT / name).exists() and not (package / name).exists()] == []
    here = {path.name for folder in ("guestbook", "docs", "tests") for path in (ROOT / folder).rglob("*.*")}
    assert {*re.findall(r"`(\w+\.(?:py|md))`", CONTRIBUTING.read_text())} <= here


def test_they_name_every_setting_and_no_other() -> None:
    named = {one for one in re.findall(r"GUESTBOOK_[A-Z_]+", documents.everything()) if not one.endswith("_")}
    assert named - FOR_THE_TESTS == settings.SETTING_NAMES


def test_they_name_every_event_and_no_other() -> None:
    words = documents.code(documents.everything())
    like_one = re.compile(r"(?:comment|webhook|inbound)\.(?!office)\w+")
    assert {word for word in words if word in EVENTS or like_one.fullmatch(word)} == set(EVENTS)


def test_every_script_that_they_name_is_there() -> None:
    for name in re.findall(r"(?:scripts|\.ci)/\w+", documents.everything()):
        assert (ROOT / name).is_file(), name


@each_page
def test_every_command_in_the_prose_exists(page: Path) -> None:
    groups = {name for name, command in top_level().items() if isinstance(command, click.Group)}
    known = commands()
    for text in documents.code(page.read_text()):
        words = text.split()
        if words[0] in groups and len(words) > 1:
            assert " ".join(words[:2]) in known, text


@each_page
def test_every_option_in_the_prose_exists(page: Path) -> None:
    known = {"--app", "--help"}.union(*(options(command) for command in commands().values()))
    for text in documents.code(page.read_text()):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
        elsewhere = FOREIGN_OPTIONS | (BENCH_OPTIONS if page.stem == "performance" else set())
        assert named <= known | elsewhere, text


def test_the_version_is_this_one() -> None:
    assert re.findall(r"guestbook/(\d+\.\d+\.\d+)", documents.everything()) == [VERSION]
    assert f"## Unreleased: {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


# --- what they tell you to type


def typed() -> Iterator[tuple[str, str]]:
    """Each call of ours in a block of code, with the page that has it."""
    for page in PAGES:
        text = page.read_text()
        for language in ("sh", "crontab", "ini"):
            for block in documents.blocks(text, language):
                for line in block.replace("\\\n", " ").splitlines():
                    if found := CALL.search(line):
                        yield str(page.relative_to(ROOT)), re.split(r" (?:>|\|\|?) ", found[1])[0]


@pytest.mark.parametrize(("page", "call"), sorted(set(typed())))
def test_a_call_in_a_block_is_understood(page: str, call: str) -> None:  # noqa: ARG001  names the test
    words = shlex.split(call)
    command = top_level()[words.pop(0)]
    if isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    with CliRunner().isolation(input="a secret\n" * 3), click.Context(click.Group("guestbook")):
        command.make_context(str(command.name), words)


def test_every_line_for_cron_is_in_the_example() -> None:
    example = (ROOT / "crontab.example").read_text()
    lines = "\n".join(documents.blocks(documents.everything(), "crontab")).splitlines()
    assert lines
    assert [line for line in lines if line not in example] == []


@pytest.mark.parametrize("text", documents.blocks(documents.everything(), "json"))
def test_a_block_of_json_is_json(text: str) -> None:
    json.loads(text)


@pytest.mark.parametrize("text", documents.blocks(documents.everything(), "ini"))
def test_a_block_of_settings_is_understood(text: str, tmp_path: Path) -> None:
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name.startswith("GUESTBOOK_"):
            bare = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_SECRET_KEY": "for the tests alone"}
            settings.load(bare | {name: value})


def test_a_server_that_they_start_is_closed_to_the_world() -> None:
    calls = [call for _, call in typed() if call.startswith("serve")]
    assert calls
    assert all(re.search(r"--listen (127\.0\.0\.1:|unix:)", call) for call in calls)
