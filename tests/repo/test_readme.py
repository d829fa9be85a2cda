"""The README is true: what it names exists, what exists is named, and what it tells you to run works."""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import requests
from flask import Flask
from standardwebhooks.webhooks import Webhook

from guestbook import settings
from guestbook.lib import clock, signing
from guestbook.lib.version import VERSION
from guestbook.outbound.formats import render
from guestbook.storage.models import Comment
from guestbook.storage.models.webhook import EVENTS
from tests.conftest import running
from tests.repo.test_imports import FLOORS
from tests.support import processes
from tests.support.processes import ROOT

README = (ROOT / "README.md").read_text()
FOR_THE_TESTS = {
    "GUESTBOOK_TEST_DATABASE_URL",
    "GUESTBOOK_TEST_REQUIRE",
    "GUESTBOOK_TEST_SCREENSHOTS",
    "GUESTBOOK_TEST_POSTGRESQL",
    "GUESTBOOK_TEST_MARIADB",
}


def section(title: str) -> str:
    return re.split(r"(?m)^##+ ", README.partition(f"# {title}\n")[2])[0]


def blocks(text: str, language: str = "") -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


# --- commands


def documented() -> dict[str, str]:
    """Each command as the README has it, `webhooks add`, with all that it says of it."""
    entries: dict[str, str] = {}
    for entry in re.split(r"(?m)^(?=[a-z])", blocks(section("Commands"))[0]):
        if entry:
            words = re.match(r"[a-z-]+(?: [a-z-]+\b)?", entry)
            assert words
            entries[words.group()] = entries.get(words.group(), "") + entry
    return entries


def commands(app: Flask) -> dict[str, click.Command]:
    """Ours, by what one types for them."""
    found: dict[str, click.Command] = {}
    for name, command in app.cli.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": one for below, one in command.commands.items()}
        elif name not in ("run", "shell", "routes"):  # Flask's own
            found[name] = command
    return found


def options(command: click.Command) -> set[str]:
    return {
        text
        for one in command.params
        if isinstance(one, click.Option) and not one.hidden
        for text in (*one.opts, *one.secondary_opts)
    }


def test_every_command_is_in_the_readme_and_has_help(app: Flask) -> None:
    assert set(documented()) == set(commands(app))
    assert all(command.help for command in commands(app).values())


def test_every_option_is_in_the_readme_and_has_help_and_the_readme_names_no_other(app: Flask) -> None:
    said = documented()
    for name, command in commands(app).items():
        named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", said[name]))
        assert named | {"-v"} == options(command) | {"-v"}, name
        assert all(one.help or one.hidden for one in command.params if isinstance(one, click.Option)), name


def test_the_numbers_behind_options_are_their_defaults(app: Flask) -> None:
    for name, command in commands(app).items():
        defaults = {one.opts[0]: one.default for one in command.params if isinstance(one, click.Option)}
        for option, number in re.findall(r"(--[a-z-]+) (\d+)", documented()[name]):
            assert defaults[option] == int(number), name


# --- settings


def test_the_table_has_every_setting_and_the_readme_names_no_other() -> None:
    assert set(re.findall(r"(?m)^\| `(GUESTBOOK_\w+)`", section("Settings"))) == settings.SETTING_NAMES
    assert set(re.findall(r"GUESTBOOK_\w+", README)) - FOR_THE_TESTS == settings.SETTING_NAMES


def test_the_defaults_in_the_table_are_the_defaults(tmp_path: Path) -> None:
    rows = re.findall(r"(?m)^\| `(GUESTBOOK_\w+)` \| `([^`/]+|http[^`]+)` \|", section("Settings"))
    stated = {name: value for name, value in rows if name != "GUESTBOOK_DATA_DIR"}
    assert len(stated) == 8
    bare = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_SECRET_KEY": "a secret key for tests alone"}
    assert settings.load(bare | stated) == settings.load(bare)


# --- what receivers read


def test_the_events_are_those_that_are_sent() -> None:
    assert set(re.findall(r"`((?:comment|webhook|inbound)\.\w+|ping)`", README)) == set(EVENTS)


def test_the_example_has_the_shape_of_what_is_sent() -> None:
    example = json.loads(blocks(section("The webhooks we send"), "json")[0])
    comment = Comment(id="1" * 32, name="Ada", message="Hello!", status="published", created_at=clock.now())
    data = {"comment": comment.public("https://example.org"), "guestbook": {"title": "Guestbook", "url": "…"}}
    assert shape(example) == shape(json.loads(render("json", "comment.created", clock.now(), data)))
    assert example["data"]["comment"]["url"].endswith("/" + example["data"]["comment"]["id"])


def shape(value: object) -> object:
    return {name: shape(below) for name, below in value.items()} if isinstance(value, dict) else None


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"comment.created","data":{"comment":{"name":"Zoë 🦋"}}}'.encode()

# Each reads the case from standard input and exits 0 when the README's function says yes, 1 when no.
HARNESSES = {
    "python": "\nimport json, sys\nd = json.load(sys.stdin)\n"
    "sys.exit(0 if verify(d['secret'], d['headers'], base64.b64decode(d['body'])) else 1)\n",
    "php": "\n$d = json_decode(file_get_contents('php://stdin'), true);\n"
    "foreach ($d['headers'] as $n => $v) $_SERVER['HTTP_' . strtoupper(strtr($n, '-', '_'))] = $v;\n"
    "exit(verify($d['secret'], base64_decode($d['body'])) ? 0 : 1);\n",
    "js": "\nconst d = JSON.parse(require('node:fs').readFileSync(0));\n"
    "process.exit(verify(d.secret, d.headers, Buffer.from(d.body, 'base64')) ? 0 : 1);\n",
}


@pytest.fixture(
    params=[
        "python",
        pytest.param("php", marks=pytest.mark.needs("php")),
        pytest.param("js", marks=pytest.mark.needs("node")),
    ]
)
def snippet(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The command that runs the README's function in one of the languages."""
    (code,) = blocks(section("Verify one"), request.param)
    path = tmp_path / f"verify.{request.param}"
    opening = "<?php\n" if request.param == "php" else ""
    path.write_text(opening + code + HARNESSES[request.param])
    php = ["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr"]
    programs = {"python": [sys.executable, "-W", "error"], "php": php, "js": ["node"]}
    return [*programs[request.param], str(path)]


def delivery(age: int = 0, secret: str = SECRET) -> dict[str, str]:
    """The headers that we would send with BODY."""
    sent_at = int(time.time()) - age
    signature = signing.standard((signing.key_of(secret),), "evt1", sent_at, BODY)
    return {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": signature}


def says_yes(snippet: list[str], headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> bool:
    case = {"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()}
    done = subprocess.run(snippet, input=json.dumps(case), capture_output=True, text=True, timeout=30)
    assert (done.stderr, done.stdout) == ("", "")
    assert done.returncode in (0, 1)
    return done.returncode == 0


def test_a_snippet_accepts_what_we_sign(snippet: list[str]) -> None:
    assert says_yes(snippet, delivery())
    assert says_yes(snippet, delivery(age=280))
    other = signing.new_secret()
    assert says_yes(snippet, delivery(secret=other), secret=other)


def test_a_snippet_accepts_either_of_two_signatures_after_a_rotation(snippet: list[str]) -> None:
    sent_at = int(time.time())
    keys = (signing.key_of(signing.new_secret()), signing.key_of(SECRET))
    both = signing.standard(keys, "evt1", sent_at, BODY)
    headers = {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": both}
    assert says_yes(snippet, headers)


def test_a_snippet_refuses_a_changed_body(snippet: list[str]) -> None:
    assert not says_yes(snippet, delivery(), BODY.replace(b"Zo", b"Jo"))
    assert not says_yes(snippet, delivery(), BODY + b"\n")
    assert not says_yes(snippet, delivery(), b"")


def test_a_snippet_refuses_another_secret(snippet: list[str]) -> None:
    assert not says_yes(snippet, delivery(), secret=signing.new_secret())
    assert not says_yes(snippet, delivery(secret=signing.new_secret()))


@pytest.mark.parametrize("age", [320, -320, 10 * 365 * 24 * 3600])
def test_a_snippet_refuses_an_old_timestamp_and_one_from_the_future(snippet: list[str], age: int) -> None:
    assert not says_yes(snippet, delivery(age=age))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "evt2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ü"},
        {"webhook-signature": "v1," + "A" * 43 + "="},
    ],
)
def test_a_snippet_refuses_a_header_that_was_changed(snippet: list[str], changes: dict[str, str]) -> None:
    assert not says_yes(snippet, {**delivery(), **changes})


def test_a_snippet_refuses_a_newer_timestamp_than_was_signed(snippet: list[str]) -> None:
    headers = delivery(age=400)
    assert not says_yes(snippet, {**headers, "webhook-timestamp": str(int(time.time()))})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_snippet_refuses_when_a_header_is_missing(snippet: list[str], name: str) -> None:
    headers = delivery()
    del headers[name]
    assert not says_yes(snippet, headers)


# --- the house, the links, the crontab


def test_the_picture_of_the_house_has_the_floors_that_the_imports_keep() -> None:
    picture = blocks(section("The house in one picture"))[0]
    drawn = [tuple(re.split(r" {3,}", line)[:-1]) for line in picture.splitlines()]
    assert drawn == [floor for floor in FLOORS if floor != ("__init__",)]


def test_every_link_into_the_checkout_leads_to_a_file() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert "docs/guestbook.png" in targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_every_script_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"(?:scripts|\.ci)/\w+", README):
        assert (ROOT / name).is_file(), name


def test_the_line_for_cron_is_that_of_the_example() -> None:
    (line,) = blocks(README, "crontab")
    assert line in (ROOT / "crontab.example").read_text()


def test_a_server_that_the_readme_starts_listens_on_this_machine_alone() -> None:
    commands = re.findall(r"(?m)^\.venv/bin/flask --app guestbook serve.*$", README)
    assert commands
    assert all(" --listen 127.0.0.1:" in command for command in commands)


def test_behind_a_proxy_the_server_of_the_readme_tells_its_visitors_apart(environ: dict[str, str]) -> None:
    (command,) = re.findall(r"(?m)^\.venv/bin/flask (--app guestbook serve .+)$", README)
    port = str(processes.free_port())
    serve = [sys.executable, "-m", "flask", *command.replace(":8080", f":{port}").split()]
    desk = f"http://127.0.0.1:{port}/admin/login"
    proxied = processes.clean_environ(**environ, GUESTBOOK_TRUSTED_PROXIES="1")
    with (
        processes.started(serve, cwd=ROOT, env=proxied) as server,
        running(environ),
        requests.Session() as browser,
    ):
        processes.wait_for(lambda: processes.answers(f"http://127.0.0.1:{port}"), 20, server.output)
        browser.headers["X-Forwarded-Proto"] = "https"
        for number in range(7):
            browser.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            page = browser.get(desk).text
            key = re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', page)[0]
            cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)  # secure ones too
            sent = {"csrf_token": key, "password": "wrong"}
            answer = browser.post(desk, sent, headers={"Cookie": cookie, "Referer": desk})
            assert answer.status_code == 422, answer.text


def test_the_version_is_this_one() -> None:
    assert re.findall(r"guestbook/(\d+\.\d+\.\d+)", README) == [VERSION]
    assert f"## Unreleased: {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


# --- try it in a minute


@pytest.mark.needs("packages")
@pytest.mark.timeout(600)
def test_the_first_commands_work_in_a_fresh_clone(tmp_path: Path) -> None:
    """As a newcomer: three terminals, one after the other, with nothing installed before."""
    clone = processes.copy_of_the_checkout(tmp_path / "guestbook")
    first, second, third = blocks(section("Try it in a minute"), "sh")
    web, hook = str(processes.free_port()), str(processes.free_port())
    environ = processes.clean_environ(PORT=web)
    with (
        processes.started(["sh", "-c", f"exec {first}"], cwd=clone, env=environ) as run,
        processes.started(["sh", "-c", second.replace("9000", hook)], cwd=clone, env=environ) as receiver,
    ):
        address = f"http://127.0.0.1:{web}"
        processes.wait_for(lambda: processes.answers(address), 400, run.output)
        added = subprocess.run(
            ["sh", "-c", third.replace("9000", hook)], cwd=clone, env=environ, capture_output=True, text=True
        )
        assert added.returncode == 0, added.stderr
        assert processes.sign(address, message="From a fresh clone") == 303
        processes.wait_for(lambda: "}}\n" in receiver.output(), 20, run.output)
        check_what_arrived(receiver.output(), re.findall(r"whsec_\S+", added.stdout)[0])
        run.signal_all(2)  # Ctrl-C
        processes.wait_for(lambda: not run.members(), 10, run.output)
        assert run.process.wait(5) == 0
    assert shutil.which("flask", path=str(clone / ".venv/bin"))


def check_what_arrived(printed: str, secret: str) -> None:
    lines = printed.splitlines()
    body = next(line.strip() for line in lines if line.strip().startswith("{"))
    pairs = (line.partition(": ") for line in lines if ": " in line)
    headers = {name.lower(): value for name, _, value in pairs}
    arrived = Webhook(secret).verify(body.encode(), headers)
    assert arrived["data"]["comment"]["message"] == "From a fresh clone"
    table = section("The webhooks we send").partition("|---|")[2].partition("```")[0]
    assert {name.lower() for name in re.findall(r"(?m)^\| `([\w-]+)`", table)} <= set(headers)
