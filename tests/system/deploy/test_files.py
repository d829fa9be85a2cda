"""The files of deploy/ that are checked as they stand: systemd's units and YunoHost's package."""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from guestbook import settings
from guestbook.cli import program
from guestbook.storage import database
from tests.conftest import run
from tests.support.documents import PAGES, blocks
from tests.support.processes import ROOT, clean_environ

DEPLOY = ROOT / "deploy"
YUNOHOST = DEPLOY / "yunohost"
PLACEHOLDER = "/path/to/guestbook"
COMMANDS = {name: program.load(name) for name in program.COMMAND_MODULES}


def fillings() -> list[tuple[str, str]]:
    """Return the lines of the guides that write the owner's folder in files, with the name of the guide."""
    shell = {page.stem: "\n".join(blocks(page.read_text(), "sh")).splitlines() for page in PAGES}
    lines = [(page, line) for page, some in shell.items() for line in some]
    return [(page, line) for page, line in lines if line.startswith("sed ") and PLACEHOLDER in line]


@pytest.mark.parametrize(("page", "line"), fillings())
def test_a_guide_leaves_no_placeholder_in_the_files_it_fills_in(page: str, line: str, tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "example.org/guestbook").mkdir(parents=True)
    environ = clean_environ(HOME=str(tmp_path))
    subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environ, check=True, timeout=60)
    words = shlex.split(line)
    targets = [words[-1]] if ">" in words else [word for word in words if word.startswith("deploy/")]
    files = [file for one in targets for file in tmp_path.glob(one.removeprefix("~/")) if file.is_file()]
    assert files, page
    for file in files:
        assert PLACEHOLDER not in file.read_text(), (page, file.name)


def units(name: str) -> configparser.ConfigParser:
    """Read a unit of systemd."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read_string((DEPLOY / name).read_text())
    return parser


def verify(*files: Path) -> str:
    """Return what systemd finds wrong with units."""
    done = run("systemd-analyze", "verify", "--man=no", *map(str, files))
    return "\n".join(line for line in done.stderr.splitlines() if any(one.name in line for one in files))


def check_call(words: list[str]) -> None:
    """Let the command that `words` call read its options; it raises when it does not know one."""
    name, *given = words[words.index("guestbook") + 1 :]
    command = COMMANDS[name]
    assert isinstance(command, click.Command)
    command.make_context(name, given, resilient_parsing=False)


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    files = []
    for source in sorted((DEPLOY / "systemd").iterdir()):
        text = source.read_text().replace("User=guestbook\n", "User=root\n")
        text = text.replace("/path/to/guestbook/.venv/bin/flask", "/bin/true")
        files.append(tmp_path / source.name)
        files[-1].write_text(text.replace("/path/to/guestbook", "/usr"))
    assert [file.suffix for file in files] == [".service", ".timer", ".service"]
    assert verify(*files) == ""
    files[0].write_text(files[0].read_text().replace("oneshot", "twoshot"))
    assert "twoshot" in verify(files[0])


def test_a_stopped_pass_has_time_for_the_requests_under_way_and_for_their_outcomes(tmp_path: Path) -> None:
    least = settings.load({"GUESTBOOK_DATA_DIR": str(tmp_path)}).timeout + database.RETRY_FOR
    assert int(units("systemd/guestbook-cron.service")["Service"]["TimeoutStopSec"]) > least


def test_the_manifest_of_yunohost_asks_for_what_its_files_use() -> None:
    manifest = tomllib.loads((YUNOHOST / "manifest.toml").read_text())
    assert (manifest["packaging_format"], manifest["integration"]["helpers_version"]) == (2, "2.1")
    given = {"APP", *(name.upper() for name in (*manifest["install"], *manifest["resources"]))}
    given |= {"PORT", "BASE_URL", "PREFIX"}  # of the resource `ports`, and of set_addresses
    used = {
        name for file in (YUNOHOST / "conf").iterdir() for name in re.findall(r"__(\w+?)__", file.read_text())
    }
    assert used <= given
    assert {file.name for file in (YUNOHOST / "scripts").iterdir()} == {
        *("_common.sh", "install", "remove", "upgrade", "backup", "restore", "change_url")
    }


@pytest.mark.needs("shellcheck")
def test_the_scripts_of_yunohost_pass_shellcheck() -> None:
    scripts = sorted((YUNOHOST / "scripts").iterdir())
    # The helpers, and the variables that YunoHost sets, are on its hosts alone.
    options = ("--exclude=SC1091,SC2154,SC2034", "--shell=bash")
    done = run("shellcheck", *options, *map(str, scripts))
    assert (done.returncode, done.stdout) == (0, "")
    assert all(subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0 for script in scripts)


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit_of_yunohost(tmp_path: Path) -> None:
    values = {"APP": "root", "INSTALL_DIR": "/usr", "DATA_DIR": "/var", "PORT": "8080", "PREFIX": "/book"}
    text = (YUNOHOST / "conf/systemd.service").read_text()
    for name, value in values.items():
        text = text.replace(f"__{name}__", value)
    unit = tmp_path / "book.service"
    unit.write_text(text.replace("/usr/venv/bin/guestbook", "/bin/true"))
    assert verify(unit) == ""
    [line] = re.findall(r"ExecStart=(.*)", text)
    check_call(shlex.split(line.replace("/usr/venv/bin/guestbook", "guestbook")))
