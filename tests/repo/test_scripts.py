"""scripts/: each short and with a first word on its use; scripts/run starts, stops and goes on."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import guestbook
from guestbook.settings import environment
from guestbook.storage.database import db
from tests.support import processes
from tests.support.owner import PASSWORD
from tests.support.processes import ROOT, Started
from tests.support.receiver import HANG, Answer, Receiver

LIMIT = 40  # lines of a shell script
SCRIPTS = sorted(path for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"] if path.is_file())
SHELL = [path for path in SCRIPTS if path.read_text().startswith("#!")]

# Stands in for .venv/bin/python: the suite's own Python on the copy's files. It never installs anything.
PYTHON = """#!/bin/sh
case "$*" in
"-V") echo "Python of the suite" ;;
*"-m pip"*) echo "$@" >>"{root}/pip.log"; exit 7 ;;
*) exec {python} "$@" ;;
esac
"""
# Stands in for .venv/bin/guestbook, likewise.
PROGRAM = """#!/bin/sh
PYTHONPATH="{root}" exec {python} "{root}/.venv/lib/guestbook" "$@"
"""


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_script_is_short_and_says_first_when_to_use_it(path: Path) -> None:
    first, second, *_ = lines = path.read_text().splitlines()
    assert first == "#!/bin/sh"
    assert second.startswith("# ")
    assert len(lines) <= LIMIT or path.parent.name == ".ci"
    assert path.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tree, in a folder with a blank, that looks installed."""
    return installed(processes.copy_of_the_checkout(tmp_path / "my sites" / "guestbook"))


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    """The same of what scripts/install reads alone, for a whole copy takes longer than the script."""
    root = tmp_path / "my sites" / "guestbook"
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("benchmarks", "*.pyc*"))
    for name in ("setup.cfg", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    return installed(root)


def installed(root: Path) -> Path:
    """Let a copy look installed."""
    for name, text in (("python", PYTHON), ("guestbook", PROGRAM)):
        executable(root / ".venv/bin" / name, text.format(root=root, python=sys.executable))
    (root / ".venv/lib").mkdir()
    (root / ".venv/lib/guestbook").write_text("import guestbook\nguestbook.main()\n")
    (root / ".venv/home").write_text(f"{root} Python of the suite\n")
    shell = f'cd "{root}" && cat setup.cfg pyproject.toml requirements.txt | cksum'
    stamp = subprocess.run(["sh", "-c", shell], check=True, capture_output=True, text=True).stdout.strip()
    (root / ".venv/installed").write_text(f"{stamp} \n")
    return root


def executable(path: Path, text: str) -> Path:
    """Write a program; return its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path.parent


@contextmanager
def running(checkout: Path, **environ: str) -> Iterator[tuple[Started, str]]:
    """Run scripts/run from another folder until its page answers; give it and the page's address."""
    port = processes.free_port()
    settings = processes.clean_environ(PORT=str(port), **environ)
    program = [str(checkout / "scripts/run")]
    with processes.started(program, cwd=checkout.parent.parent, env=settings) as script:
        address = f"http://127.0.0.1:{port}"
        processes.wait_for(lambda: processes.answers(address), 60, script.output)
        yield script, address


def command(checkout: Path, *arguments: str) -> str:
    """Run a command on the copy's book in this process, for a start of Python costs more than the command."""
    app = guestbook.create_app({"GUESTBOOK_DATA_DIR": str(checkout / "instance")})
    done = app.test_cli_runner().invoke(args=arguments)
    assert done.exit_code == 0, done.output
    with app.app_context():
        db.engine.dispose()
    return done.stdout


def python(checkout: Path, *arguments: str, **environ: str) -> str:
    command = [sys.executable, *arguments]
    settings = processes.clean_environ(**environ)
    done = subprocess.run(command, cwd=checkout, env=settings, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ended(script: Started, seconds: float = 10) -> int:
    """Wait until nothing of it lives; return the exit code."""
    processes.wait_for(lambda: script.process.poll() is not None, seconds, script.output)
    processes.wait_for(lambda: not script.members(), 0.5, script.members)
    return int(script.process.returncode)


# Every run ends in another of the ways in which it can be stopped: to start it costs more than to use it.


def test_run_serves_the_book_and_sends_its_webhooks_and_a_second_start_goes_on(checkout: Path) -> None:
    (checkout.parent / ".env").write_bytes(b"GUESTBOOK_COLOUR=blue\nOTHER=\xff\n")  # another program's
    with Receiver() as receiver:
        with running(checkout) as (script, address):
            command(checkout, "webhooks", "add", receiver.url("/hook"))
            link = processes.set_up(script.output(), PASSWORD)
            assert link.startswith(f"{address}/admin/setup/")
            assert processes.sign(address, message="First") == 303
            (first,) = receiver.wait_for(1)
            assert first.json["data"]["guestbook"]["url"] == address
            script.process.send_signal(signal.SIGTERM)
            assert ended(script) == 0
            assert "The guestbook is at " + address in script.output()
            assert "Unknown setting" not in script.output()
            assert "Traceback" not in script.output()
        key = checkout / "instance/secret_key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        before = key.read_text()
        with running(checkout) as (script, address):
            assert "First" in processes.fetch(address)[1]
            assert processes.sign(address, message="Second") == 303
            assert len(receiver.wait_for(2)) == 2
            assert f"The admin pages are at {address}/admin/\n" in script.output()
            assert "Set up your book" not in script.output()
            assert processes.log_in(address, PASSWORD) == 303
            script.signal_all(signal.SIGHUP)  # the terminal is closed
            assert ended(script) == 0
        assert key.read_text() == before


def test_a_pass_that_is_killed_is_followed_by_another_which_ctrl_c_stops_at_once(checkout: Path) -> None:
    with Receiver() as receiver, running(checkout) as (script, address):
        command(checkout, "webhooks", "add", receiver.url("/hook"))
        (one,) = processes.wait_for(lambda: script.members("cron"), 10, script.output)
        os.kill(one, signal.SIGKILL)
        processes.wait_for(lambda: one not in script.members(), 5)
        assert processes.sign(address) == 303
        assert receiver.wait_for(1)
        script.signal_all(signal.SIGINT)
        assert ended(script) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_pass_record_and_a_second_one_does_not_wait(checkout: Path, number: int) -> None:
    ends_by_itself = number is signal.SIGTERM
    with Receiver() as receiver, running(checkout, GUESTBOOK_TIMEOUT="120") as (script, address):
        receiver.answer("/hook", Answer(delay=2) if ends_by_itself else HANG)
        command(checkout, "webhooks", "add", receiver.url("/hook"))
        assert processes.sign(address) == 303
        receiver.wait_for(1)
        script.signal_all(number)
        if not ends_by_itself:
            with pytest.raises(AssertionError, match="Not within"):
                ended(script, 1)
            script.signal_all(number)
        assert ended(script, 20) == 0
        assert not ends_by_itself or " delivered " in command(checkout, "deliveries", "list")


def test_what_env_files_say_is_stronger_than_what_run_would_choose(checkout: Path) -> None:
    (checkout / ".env").write_text("GUESTBOOK_BASE_URL=https://book.example\n")
    (checkout / "instance").mkdir()
    (checkout / "instance/.env").write_text("GUESTBOOK_ALLOW_NETWORKS=\n")
    with Receiver() as receiver, running(checkout) as (script, address):
        url = receiver.url("/hook").replace("127.0.0.1", "localhost")
        added = json.loads(command(checkout, "webhooks", "add", url, "--json"))
        assert processes.sign(address) == 303

        def attempts() -> list[dict[str, object]]:
            (row,) = json.loads(command(checkout, "deliveries", "list", "--webhook", added["id"], "--json"))
            shown = json.loads(command(checkout, "deliveries", "show", row["id"], "--json"))
            assert json.loads(shown["payload"])["data"]["guestbook"]["url"] == "https://book.example"
            return list(shown["attempts_made"])

        first = processes.wait_for(attempts, 20, script.output)[0]
        assert "private or reserved address" in str(first["error"])
        assert receiver.requests == []
        script.signal_all(signal.SIGTERM)
        assert ended(script) == 0


def test_a_data_folder_that_env_names_is_asked_too(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    (checkout / ".env").write_text(f"GUESTBOOK_DATA_DIR='{tmp_path}/my data'\n")
    (tmp_path / "my data/.env").write_text("export GUESTBOOK_BASE_URL='https://book.example'\n")
    with running(checkout) as (script, address):
        assert '<link rel="canonical" href="https://book.example/">' in processes.fetch(address)[1]
        script.process.kill()
        processes.wait_for(lambda: not script.members(), 60, script.output)  # a pass may be starting still
    assert not (checkout / "instance").exists()


def test_commands_beside_run_use_its_port_and_may_reach_this_machine_while_it_runs(checkout: Path) -> None:
    used = "from guestbook import settings; s = settings.load(); print(s.base_url, *s.allow_networks)"
    noted = checkout / "instance" / environment.RUN_FILE

    def beside() -> str:
        return python(checkout, "-c", used)

    with running(checkout) as (script, address):
        assert beside() == f"{address} 127.0.0.0/8 ::1/128\n"
        typed = ("sources", "add", "shop", "--verify", "none")
        assert f"{address}/hooks/" in python(checkout, "-m", "flask", "--app", "guestbook", *typed)
        assert f"{address}/bin/" in command(checkout, "bins", "add")
        script.process.send_signal(signal.SIGINT)
        assert ended(script) == 0
    assert not noted.exists()
    assert beside() == "http://127.0.0.1:5000\n"
    with running(checkout, GUESTBOOK_BASE_URL="https://book.example") as (script, _):
        assert beside() == "https://book.example 127.0.0.0/8 ::1/128\n"
        script.signal_all(signal.SIGKILL)
        assert ended(script) != 0
    assert noted.exists()
    assert beside() == "http://127.0.0.1:5000\n"


def test_what_a_run_chose_counts_no_more_when_another_process_has_its_number(tmp_path: Path) -> None:
    noted = environment.note_run({"GUESTBOOK_DATA_DIR": str(tmp_path)}, "5001", str(os.getpid()))
    assert environment.chosen_folder(tmp_path)["GUESTBOOK_BASE_URL"] == "http://127.0.0.1:5001"
    content = json.loads(noted.read_text())
    noted.write_text(json.dumps({**content, "began": "1"}))
    assert environment.chosen_folder(tmp_path) == {}


def test_install_takes_uv_where_it_is(bare_checkout: Path, tmp_path: Path) -> None:
    folder = executable(tmp_path / "bin/uv", f'#!/bin/sh\necho "$@" >>{tmp_path}/uv.log\n')
    done = script(bare_checkout, "install", "test", PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 0
    install = "pip install --quiet --python .venv/bin/python"
    asked = [f"{install} --require-hashes --requirement requirements.txt"]
    asked += [f"{install} pip --no-build-isolation --editable .[test]"]
    assert (tmp_path / "uv.log").read_text().splitlines() == asked
    assert not (bare_checkout / "pip.log").exists()


def test_a_port_that_cannot_be_had_or_a_wrong_setting_stops_run_with_one_line(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        done = script(checkout, "run", PORT=taken)
    assert done.returncode == 1
    sentence = f"Port {taken} is in use or cannot be used. Take another one: PORT="
    assert re.fullmatch(rf"{sentence}50\d\d scripts/run\n", done.stderr)
    assert not (checkout / "instance").exists()
    done = script(checkout, "run", PORT=str(processes.free_port()), GUESTBOOK_TIMEOUT="soon")
    assert done.returncode == 1
    assert "GUESTBOOK_TIMEOUT is 'soon'" in done.stderr
    assert "Traceback" not in done.stderr


def test_install_asks_pip_only_for_what_is_not_installed_yet(bare_checkout: Path) -> None:
    done = script(bare_checkout, "install")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    stamp, log = bare_checkout / ".venv/installed", bare_checkout / "pip.log"
    plain = stamp.read_text()
    stamp.write_text(plain.rstrip("\n") + "test\n")  # an install with an extra does for one without
    assert script(bare_checkout, "install").returncode == 0
    assert script(bare_checkout, "install", "test").returncode == 0
    assert not log.exists()
    stamp.write_text(plain)
    done = script(bare_checkout, "install", "test")
    assert log.read_text().endswith("--require-hashes --requirement requirements.txt\n")
    assert done.returncode == 1
    assert "could not be installed" in done.stderr


def test_install_asks_again_when_setup_cfg_has_changed_and_again_after_a_failure(bare_checkout: Path) -> None:
    with (bare_checkout / "setup.cfg").open("a") as file:
        file.write("# another word\n")
    for count in (1, 2):
        assert script(bare_checkout, "install").returncode == 1
        assert len((bare_checkout / "pip.log").read_text().splitlines()) == count


TOO_OLD = 'case "$*" in -V) echo Python 3.9.2 ;; *version*) exit 1 ;; esac'
WITHOUT_VENV = 'case "$*" in *ensurepip*) exit 1 ;; esac'


@pytest.mark.parametrize(("fakes", "sentence"), [
    ({"python3": TOO_OLD}, "and python3 is Python 3.9.2."),
    ({"python3": WITHOUT_VENV}, "please install python3-venv"),
    ({}, "please install python3"),
    ({"python3": TOO_OLD, "python3.12": WITHOUT_VENV}, "please install python3.12-venv"),  # a newer one
])  # fmt: skip
def test_an_unfit_python_is_named(bare_checkout: Path, tmp_path: Path, fakes: Any, sentence: str) -> None:
    (bare_checkout / ".venv/bin/python").unlink()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "grep"):
        (programs / name).symlink_to(Path("/usr/bin") / name)
    for name, fake in fakes.items():
        executable(programs / name, f"#!/bin/sh\n{fake}\n")
    done = script(bare_checkout, "run", PATH=str(programs))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_checkout_that_has_moved_gets_a_new_environment(bare_checkout: Path, tmp_path: Path) -> None:
    # It leaves out pip, whose installation takes seconds.
    less = 'case "$*" in "-m venv "*) set -- "$@" --without-pip ;; esac'
    fake = f'#!/bin/sh\n{less}\nexec {sys.executable} "$@"\n'
    folder = executable(tmp_path / "bin/python3", fake)
    moved = bare_checkout.rename(bare_checkout.with_name("elsewhere"))
    done = script(moved, "install", PATH=f"{folder}:{without_uv()}")
    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert (moved / ".venv/pyvenv.cfg").exists()
    assert (moved / ".venv/home").read_text().startswith(str(moved))


def without_uv() -> str:
    """Return the search path for programs without the folders that have uv.

    The copy's Python is only a script: uv would look through it and install into the Python of this suite.
    """
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not Path(folder, "uv").exists())


def script(checkout: Path, name: str, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = ["/bin/sh", str(checkout / "scripts" / name), *arguments]
    settings = processes.clean_environ(**{"PATH": without_uv()} | environ)
    return subprocess.run(command, cwd="/", env=settings, capture_output=True, text=True, timeout=120)
