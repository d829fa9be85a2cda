"""What the owner types, and where the book is kept: in a checkout, and when it is installed by name."""

import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from guestbook.settings import SettingsError, installation, load
from tests.support.owner import Owner


@pytest.fixture
def by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed among the packages of a Python whose programs are in this folder."""
    monkeypatch.setattr(installation, "CHECKOUT", tmp_path / "site-packages")
    monkeypatch.setattr(installation.sysconfig, "get_path", lambda *_: str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/guestbook").touch(mode=0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        ("/my sites/bin/flask", "'/my sites/bin/flask' --app guestbook init-db"),
        ("/my sites/bin/guestbook", "'/my sites/bin/guestbook' init-db"),
        ("/usr/bin/gunicorn", "flask --app guestbook init-db"),
    ],
)
def test_a_command_is_named_as_it_must_be_typed(
    program: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    assert installation.typed("init-db") == typed


@pytest.mark.parametrize("program", ["guestbook", "flask"])
def test_a_program_on_the_path_is_alone(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / program)])
    assert installation.typed("status").startswith(f"{program} ")


def test_a_web_server_of_a_guestbook_that_is_installed_by_name_names_its_program(
    by_name: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gunicorn"])
    assert installation.typed("init-db") == f"{by_name}/bin/guestbook init-db"
    monkeypatch.setenv("PATH", str(by_name / "bin"))
    assert installation.typed("init-db") == "guestbook init-db"


def test_an_extra_is_installed_beside_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "my book"
    monkeypatch.setattr(installation, "CHECKOUT", checkout)
    monkeypatch.setattr(sys, "prefix", "/home/me/my book")
    monkeypatch.setattr(installation, "find_spec", str)
    pip = "'/home/me/my book/bin/python' -m pip install"  # for no index has the guestbook itself
    assert installation.install_command("postgres") == f"{pip} 'psycopg[binary]>=3.2.1'"
    assert installation.install_command("encryption") == f"{pip} 'cryptography>=42'"
    monkeypatch.setattr(installation, "find_spec", lambda _name: None)  # as in an environment of uv
    uv = "uv pip install --python '/home/me/my book/bin/python'"
    assert installation.install_command("postgres") == f"{uv} 'psycopg[binary]>=3.2.1'"
    checkout.mkdir()
    (checkout / "setup.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    assert installation.install_command("mariadb") == f"'{checkout}/scripts/install' mariadb"
    monkeypatch.setattr(sys, "prefix", "/other")
    asked = f"/other/bin/pip install --editable '{checkout}[mariadb]'"
    assert installation.install_command("mariadb") == asked


def test_a_page_that_everybody_may_see_names_no_path(app: Flask, by_name: Path) -> None:
    page = Owner(app).get("/admin/login").text
    assert "<code>guestbook admin set-password</code>" in page
    assert str(by_name) not in page
    assert installation.named("init-db") == "guestbook init-db"


def test_the_one_file_is_named_with_its_python(by_name: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = by_name / "my files/guestbook.pyz"
    monkeypatch.setenv(installation.ONE_FILE, str(file))
    monkeypatch.setattr(sys, "argv", ["-c"])  # a pass that `run` has started
    assert installation.typed("upgrade") == f"{sys.executable} '{file}' upgrade"
    assert installation.named("upgrade") == "python3 guestbook.pyz upgrade"
    assert installation.crontab_line(by_name).endswith(f" {sys.executable} '{file}' cron")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr(installation.shutil, "which", "/usr/bin/{}".format)
    assert installation.typed("upgrade") == f"python3 '{file}' upgrade"
    file.parent.mkdir()
    file.touch()
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sys, "argv", ["./guestbook.pyz"])
    assert installation.typed("upgrade") == "python3 guestbook.pyz upgrade"


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({}, "home/.local/share/guestbook"),
        ({"XDG_DATA_HOME": "relative"}, "home/.local/share/guestbook"),
        ({"XDG_DATA_HOME": "{}/data"}, "data/guestbook"),
        ({"XDG_DATA_HOME": "{}/data", "GUESTBOOK_DATA_DIR": "{}/mine"}, "mine"),
    ],
)
def test_outside_a_checkout_the_users_data_folder_keeps_the_book(
    given: dict[str, str], folder: str, by_name: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(by_name / "home"))
    for name, value in given.items():
        monkeypatch.setenv(name, value.format(by_name))
    assert load().data_dir == by_name / folder
    assert (by_name / folder).stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_home_is_asked_for_one(by_name: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="GUESTBOOK_DATA_DIR is not set, and this user has no home"):
        load({})
    assert installation.crontab_line(by_name).startswith(f"* * * * * GUESTBOOK_DATA_DIR={by_name} ")


def test_the_line_for_crontab_names_the_program_and_only_a_folder_that_cron_would_not_find(
    by_name: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cron = f"{by_name}/bin/guestbook cron"
    home = Path(pwd.getpwuid(by_name.stat().st_uid).pw_dir).resolve()
    assert installation.crontab_line(home / ".local/share/guestbook") == f"* * * * * {cron}"
    mine = installation.crontab_line(by_name / "mine")
    assert mine == f"* * * * * GUESTBOOK_DATA_DIR={by_name}/mine {cron}"
    monkeypatch.setenv("XDG_DATA_HOME", str(by_name / "data"))  # cron does not have this
    moved = installation.crontab_line(installation.choose_folder({}))
    assert f"GUESTBOOK_DATA_DIR={by_name}/data/guestbook " in moved


def test_the_line_for_crontab_names_this_very_installation(tmp_path: Path) -> None:
    folder = tmp_path / "100 % mine"
    line = installation.crontab_line(folder)
    assert line.startswith("* * * * * GUESTBOOK_DATA_DIR='")
    assert line.endswith("/bin/flask --app guestbook cron")
    assert "100 \\% mine'" in line  # cron takes a bare % for the end of the command
    command = line.removeprefix("* * * * * ").replace("\\%", "%").replace(" cron", " init-db")
    bare = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={tmp_path}", "sh", "-c", command]
    assert subprocess.run(bare, cwd=tmp_path, timeout=60).returncode == 0
    assert (folder / "guestbook.db").exists()


def test_the_line_for_crontab_names_no_folder_where_the_default_holds() -> None:
    line = installation.crontab_line(installation.CHECKOUT / "instance")
    assert line == f"* * * * * {sys.prefix}/bin/flask --app guestbook cron"


def test_the_folders_above_an_empty_data_folder_are_synced_also_if_it_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(installation.files, "sync_folder", synced.append)
    data_dir = tmp_path / "new/book"
    for _ in range(2):  # the first start may have been killed before it had synced them
        installation.make_folder(data_dir)
        assert synced[:3] == [tmp_path / "new", tmp_path, tmp_path.parent]
        synced.clear()
    (data_dir / "secret_key").touch()
    installation.make_folder(data_dir)
    assert synced == []
