"""Every setting, good and bad: one line that names it, and no secret in that line."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import pytest

import guestbook
from guestbook import settings
from guestbook.settings import Settings, SettingsError, secret_key
from guestbook.settings.environment import SECRET_SETTINGS
from guestbook.storage import database
from guestbook.storage.database import db

KEY = "a secret key for tests alone"
DATABASES = (
    *("sqlite:////tmp/book.db", "sqlite:///book.db?journal_mode=delete", "mysql+pymysql://me@127.0.0.1/book"),
    *("postgresql+psycopg://me:pw@db.example:5432/book", "postgresql+psycopg://me@db/book?sslmode=require"),
    *("mariadb+pymysql://me@127.0.0.1/book", "mysql+pymysql://me@db/book?read_timeout=30"),
)
GOOD: dict[str, list[tuple[str, object]]] = {
    "DATABASE_URL": [(url, url) for url in DATABASES],
    "SECRET_KEY": [("0123456789abcdef", "0123456789abcdef")],
    "SECRET_KEY_FALLBACKS": [
        ("", ()),
        ("0123456789abcdef, fedcba9876543210", ("0123456789abcdef", "fedcba9876543210")),
        ('["a key, with a comma"]', ("a key, with a comma",)),
    ],
    "BASE_URL": [
        ("https://example.org/book/", "https://example.org/book"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("HTTPS://Book.Example:443/Guests", "https://book.example/Guests"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
    "TRUSTED_PROXIES": [("0", 0), ("10", 10), (" 2 ", 2)],
    "ALLOW_NETWORKS": [
        ("", ()),
        ("127.0.0.0/8", (ip_network("127.0.0.0/8"),)),
        ("10.0.0.7, fd00::/8,", (ip_network("10.0.0.7/32"), ip_network("fd00::/8"))),
    ],
    "REQUIRE_HTTPS_WEBHOOKS": [("true", True), ("false", False)],
    "RETRY_SCHEDULE": [("0,5, 2.5", (0.0, 5.0, 2.5)), ("0", (0.0,)), ("2592000", (2592000.0,))],
    "TIMEOUT": [("0.1", 0.1), ("300", 300.0)],
    "OUTBOUND_PROXY": [("", None), ("http://me:pw@proxy.example:3128", "http://me:pw@proxy.example:3128")],
    "KEEP_PROCESSED_DAYS": [("0", 0), ("36500", 36500)],
    "KEEP_FAILED_DAYS": [("1", 1)],
    "KEEP_SPAM_DAYS": [("0", 0), ("7", 7)],
    "LOG_FORMAT": [("text", "text"), ("json", "json")],
    "PUBLIC_FOLDER": [("", None), ("/var/www/book-pages", Path("/var/www/book-pages"))],
    "SMTP_URL": [("", None), ("smtps://me:pw@mail.example", "smtps://me:pw@mail.example")],
    "MAIL_FROM": [("", None), ("book@example.org", "book@example.org")],
    "METRICS_TOKEN": [("", ""), ("sixteen letters.", "sixteen letters.")],
    "PING_URL": [("", None), ("https://hc-ping.com/1?a=2", "https://hc-ping.com/1?a=2")],
    "SEND_AFTER_REQUESTS": [("true", True), ("false", False)],
    "BROKER_URL": [("", None), ("amqp://me:pw@rabbit:5672//", "amqp://me:pw@rabbit:5672//")],
}
BAD = {
    "DATABASE_URL": [
        *("", "no url", "sqlite://", "sqlite:///:memory:", "oracle://me:hunter2@db.example/book"),
        *("postgresql://me:hunter2@db.example/book", "postgresql+psycopg://me:hunter2"),
        *("postgresql+psycopg://me@db.example:hunter2/book", "mysql+pymysql://me:hunter2@db/book?foo=1"),
        *("sqlite:///book.db?journal_mode=hunter2", "sqlite:///book.db?timeout=hunter2"),
        "postgresql+psycopg://me:hunter2@db.example/book?foo=1",
        "mysql+pymysql://me:hunter2@db.example/book?read_timeout=soon",
    ],
    "SECRET_KEY": ["hunter2"],
    "SECRET_KEY_FALLBACKS": ["hunter2", "0123456789abcdef,x", "[", '["short"]', "[7]", '[""]'],
    "BASE_URL": [
        *("", "example.org", "ftp://example.org", "https://", "https://example.org/?a=1", "https://[::1"),
        *("https://example.org/#top", "https://me:hunter2@example.org", "https://bücher.example"),
        *("https://example.org/a book", "https://example.org:port", "https://example.org:0"),
    ],
    "TRUSTED_PROXIES": ["", "-1", "11", "1.0", "one", "١", "9" * 400],
    "ALLOW_NETWORKS": ["localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1"],
    "REQUIRE_HTTPS_WEBHOOKS": ["", "True", "1", "yes", "on"],
    "RETRY_SCHEDULE": [
        *("", "0,", "0;5", "-1", "nan", "inf", "1e3", "0,2592001", ",".join("0" * 51), "9" * 400)
    ],
    "TIMEOUT": ["", "0", "0.09", "301", "nan", "inf", "15s", "1_5", "١٥"],
    "OUTBOUND_PROXY": [
        *("hunter2", "socks5://proxy.example", "http://me:hunter2℀@proxy.example"),
        *("http://me:hunter2]@proxy.example", "http://proxy.example:hunter2"),
    ],
    "KEEP_PROCESSED_DAYS": ["", "-1", "36501", "30 days", "٣"],
    "LOG_FORMAT": ["", "JSON", "xml"],
    "KEEP_FAILED_DAYS": ["", "x", "99999999999"],
    "KEEP_SPAM_DAYS": ["", "x", "-1", "36501"],
    "PUBLIC_FOLDER": ["pages", "~/pages"],
    "SMTP_URL": [
        *("hunter2", "http://me:hunter2@host", "smtp://", "smtp://me:hunter2@host:x"),
        "smtp://me:1#hunter2@host",
    ],
    "MAIL_FROM": ["book", "a@b\nBcc: x@y", "a b@c", "@x"],
    "METRICS_TOKEN": ["hunter2"],
    "PING_URL": ["hunter2", "ftp://host/hunter2", "https://", "https://host/a hunter2"],
    "SEND_AFTER_REQUESTS": ["maybe", ""],
    "BROKER_URL": ["hunter2", "redis://me:hunter2@host", "amqp://", "amqp://me:hunter2@host:x"],
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that stays open to other users. Pytest closes its own whenever another run of it starts."""
    with TemporaryDirectory() as place:
        yield Path(place)


@pytest.fixture(autouse=True)
def _elsewhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "cwd").mkdir()
    monkeypatch.chdir(place / "cwd")


@pytest.fixture
def folder(place: Path) -> Path:
    return place / "data"


def load(folder: Path, **values: str) -> Settings:
    return settings.load(environment(folder, values))


def environment(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    named = {"DATA_DIR": str(folder), "SECRET_KEY": KEY, **values}
    return {f"GUESTBOOK_{name}": value for name, value in named.items()}


def refusal(folder: Path, **values: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(folder, **values)
    return str(raised.value)


def test_these_tables_leave_no_setting_out() -> None:
    fields = {name.removeprefix("GUESTBOOK_") for name in settings.SETTING_NAMES}
    assert set(GOOD) == set(BAD) == fields - {"DATA_DIR", "SECRET_KEY_FILE"}


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, *pair) for name, pairs in GOOD.items() for pair in pairs]
)
def test_a_good_value_is_read_as_its_type(name: str, text: str, value: object, folder: Path) -> None:
    read = getattr(load(folder, **{name: text}), name.lower())
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, some in BAD.items() for text in some])
def test_a_bad_value_is_refused_in_one_line_that_names_it(name: str, text: str, folder: Path) -> None:
    sentence = refusal(folder, **{name: text})
    assert sentence.startswith(f"GUESTBOOK_{name} is ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    if name in SECRET_SETTINGS:
        assert "hunter2" not in sentence


def test_a_value_that_is_no_secret_is_shown_with_what_would_be_right(folder: Path) -> None:
    assert refusal(folder, TIMEOUT="soon") == (
        "GUESTBOOK_TIMEOUT is 'soon': it must be a number of seconds from 0.1 to 300."
    )
    sentence = refusal(folder, BASE_URL="https://bücher.example")
    assert sentence.endswith(", in ASCII: a domain with other letters begins with xn--.")


def test_the_defaults_need_nothing_but_a_folder(folder: Path) -> None:
    read = settings.load({"GUESTBOOK_DATA_DIR": str(folder)})
    assert read.database_url == f"sqlite:///{folder}/guestbook.db"
    assert (read.base_url, read.trusted_proxies, read.allow_networks) == ("http://127.0.0.1:5000", 0, ())
    assert (read.timeout, read.keep_processed_days, read.keep_failed_days) == (15.0, 30, 90)
    assert (read.outbound_proxy, read.require_https_webhooks, read.on_sqlite) == (None, False, True)


def test_unknown_names_are_refused_with_the_known_ones_or_the_one_that_was_meant(folder: Path) -> None:
    sentence = refusal(folder, TIME_ZONE="15", BASEURL="x")
    assert sentence.startswith("Unknown setting GUESTBOOK_BASEURL, GUESTBOOK_TIME_ZONE. Known are ")
    assert all(name in sentence for name in settings.SETTING_NAMES)
    assert refusal(folder, TIMEOUTS="15", BASEURL="x") == (
        "Unknown setting GUESTBOOK_BASEURL, GUESTBOOK_TIMEOUTS. "
        "Did you mean GUESTBOOK_BASE_URL, GUESTBOOK_TIMEOUT?"
    )


def test_variables_of_other_programs_and_of_the_test_suite_do_not_matter(folder: Path) -> None:
    others = {"TIMEOUT": "x", "FLASK_GUESTBOOK_X": "y", "GUESTBOOK_TEST_REQUIRE": "all"}
    assert settings.load(environment(folder, {}) | others).timeout == 15


def test_the_environment_wins_over_the_working_directory_and_that_over_the_data_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / ".env").write_text(
        "GUESTBOOK_TIMEOUT=1\nGUESTBOOK_KEEP_FAILED_DAYS=1\nGUESTBOOK_TRUSTED_PROXIES=1\n"
    )
    Path(".env").write_text("GUESTBOOK_TIMEOUT=2\nGUESTBOOK_KEEP_FAILED_DAYS=2\nOTHER=x\n")
    read = load(folder, TIMEOUT="3")
    assert (read.timeout, read.keep_failed_days, read.trusted_proxies) == (3, 2, 1)


def test_the_working_directory_may_name_the_data_folder(folder: Path) -> None:
    folder.mkdir()
    Path(".env").write_text(f"GUESTBOOK_DATA_DIR={folder}\n")
    (folder / ".env").write_text(f"GUESTBOOK_SECRET_KEY='{KEY}'  # quoted\n")
    read = settings.load({})
    assert (read.data_dir, read.secret_key) == (folder, KEY)


BAD_LINE = "{}/.env cannot be read: line 3 is not GUESTBOOK_NAME=value, or a quote has no end."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GUESTBOOK_COLOUR=blue\n", "Unknown setting GUESTBOOK_COLOUR. Known are "),
        (b"guestbook_timeout=1", "Unknown setting guestbook_timeout. Did you mean GUESTBOOK_TIMEOUT?"),
        (b"# My book\n\nGUESTBOOK_TIMEOUT: 1\nGUESTBOOK_TRUSTED_PROXIES=2\n", BAD_LINE),
        (b"# My book\n\nGUESTBOOK_TIMEOUT 1\nGUESTBOOK_TRUSTED_PROXIES=2\n", BAD_LINE),
        (b"# My book\n\nGUESTBOOK_TIMEOUT='1\nGUESTBOOK_TRUSTED_PROXIES=2\n", BAD_LINE),
        (b"GUESTBOOK_TIMEOUT=\xff\xfe\n", "{}/.env cannot be read: it is not UTF-8."),
        (b"GUESTBOOK_TIMEOUT=1\0\n", "{}/.env cannot be read: a value has a NUL byte."),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content: bytes, sentence: str, folder: Path) -> None:
    folder.mkdir()
    (folder / ".env").write_bytes(content)
    said = refusal(folder)
    assert said.startswith(sentence.format(folder))
    assert "\n" not in said


def test_the_working_directory_s_file_is_checked_too_but_for_lines_of_other_programs(folder: Path) -> None:
    Path(".env").write_text("what is this\nGUESTBOOK_TIMEOUT=2\n")
    assert load(folder).timeout == 2
    Path(".env").write_text("GUESTBOOK_COLOUR=blue\n")
    assert refusal(folder).startswith("Unknown setting GUESTBOOK_COLOUR.")


def test_a_file_may_begin_with_a_byte_order_mark_and_have_windows_lines(folder: Path) -> None:
    folder.mkdir()
    (folder / ".env").write_bytes(b"\xef\xbb\xbfGUESTBOOK_TIMEOUT=1\r\nGUESTBOOK_TRUSTED_PROXIES=2\r\n")
    read = load(folder)
    assert (read.timeout, read.trusted_proxies) == (1, 2)


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(Path("~/book")).data_dir == tmp_path / "book"


@pytest.mark.parametrize("name", ["~nosuchuser/book", "a\0b"])
def test_a_data_folder_that_can_be_nowhere_is_named(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load({"GUESTBOOK_DATA_DIR": name})
    assert str(raised.value).startswith(f"GUESTBOOK_DATA_DIR is {name!r}: ")


def test_a_data_folder_may_have_signs_that_mean_something_in_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "my?book#1 100%41"
    app = guestbook.create_app(environment(folder, {}))
    with app.app_context():
        database.create_tables(db.engine)
        db.engine.dispose()
    assert (folder / "guestbook.db").exists()
    assert list(tmp_path.glob("*.db")) == []


@pytest.mark.parametrize("closed", ["cwd", "cwd/.env"])
def test_a_file_in_the_working_directory_that_this_user_may_not_read_is_not_there(
    closed: str, folder: Path, place: Path
) -> None:
    Path(".env").write_text("GUESTBOOK_TIMEOUT=wrong\n")
    given_to_nobody(folder)
    (place / closed).chmod(0)
    done = as_nobody(f"print(settings.load({environment(folder, {})!r}).timeout)")
    (place / closed).chmod(0o700)
    assert (done.stdout, done.stderr) == ("15.0\n", "")


def given_to_nobody(folder: Path) -> None:
    """Make a folder in which the user of `as_nobody` may write, and no other."""
    folder.mkdir()
    open_parents(folder)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)


def open_parents(folder: Path) -> None:
    """Let others pass through the folders that pytest has made, which are closed to them."""
    for parent in folder.parents:
        if not parent.is_relative_to(gettempdir()) or parent == Path(gettempdir()):
            return
        parent.chmod(0o755)


def as_nobody(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code on the settings as a user whom file modes stop: root may read and write anywhere."""
    become = "import os\nif os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
    command = [sys.executable, "-c", f"from guestbook import settings\n{become}{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_new_data_folder_is_its_owners_alone_and_one_that_was_there_keeps_its_mode(folder: Path) -> None:
    load(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    load(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file") == f"GUESTBOOK_DATA_DIR is {tmp_path}/file: that is no folder."
    assert refusal(tmp_path / "file" / "in") == f"GUESTBOOK_DATA_DIR is {tmp_path}/file/in: Not a directory."


def test_a_data_folder_that_may_not_be_written_is_named(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o555)
    open_parents(folder)
    done = as_nobody(f"settings.load({environment(folder, {})!r})")
    assert f"GUESTBOOK_DATA_DIR is {folder}: this user may not write there." in done.stderr


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_data_folder_in_which_every_user_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert refusal(folder) == (
        f"GUESTBOOK_DATA_DIR is {folder}: every user of this machine may write there. "
        f"This helps: chmod o-w {folder}"
    )
    folder.chmod(mode & ~0o002)
    load(folder)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *((f"guestbook.db{suffix}", "write") for suffix in ("", "-wal", "-shm", "-journal")),
        *((name, "read") for name in ("secret_key", "secret_key_fallbacks", ".env")),
    ],
)
def test_a_file_that_another_user_has_left_in_the_data_folder_is_named_with_what_helps(
    folder: Path, name: str, what: str
) -> None:
    given_to_nobody(folder)
    (folder / name).touch(mode=0)
    done = as_nobody(f"settings.load({{'GUESTBOOK_DATA_DIR': {str(folder)!r}}})")
    said = done.stderr.splitlines()[-1].removeprefix("guestbook.settings.environment.SettingsError: ")
    if os.geteuid() == 0:
        helps = f"sudo chown nobody {folder / name}"
        assert said == (f"{folder / name} belongs to root, and nobody may not {what} it. This helps: {helps}")
    else:
        assert said.endswith(f"This helps: chmod u+rw {folder / name}")


@pytest.mark.parametrize("name", ["DATABASE_URL", "SECRET_KEY_FILE"])
def test_a_file_in_a_folder_that_this_user_may_not_enter_is_refused(folder: Path, name: str) -> None:
    given_to_nobody(folder)
    closed = folder.with_name("closed")
    closed.mkdir(mode=0)
    file = f"{closed}/file" if name == "SECRET_KEY_FILE" else f"sqlite:///{closed}/file"
    values = {"GUESTBOOK_DATA_DIR": str(folder), f"GUESTBOOK_{name}": file}
    done = as_nobody(f"settings.load({values!r})")
    said = done.stderr.splitlines()[-1].removeprefix("guestbook.settings.environment.SettingsError: ")
    assert said.startswith(f"{closed} belongs to ")
    assert " may not enter it. This helps: " in said


def test_a_key_that_is_made_is_read_by_its_owner_alone_and_the_next_start_keeps_it(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    first = secret_key.make(folder)
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert len(first) == 64
    assert settings.load({"GUESTBOOK_DATA_DIR": str(folder)}).secret_key == first
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from guestbook.settings import secret_key\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(50):\n"
        f"    folder = Path({str(tmp_path)!r}, f'book{{number}}')\n"
        "    folder.mkdir(exist_ok=True)\n"
        "    print(secret_key.make(folder))\n"
    )
    command = [sys.executable, "-c", code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert {process.stdout.readline() for process in started} == {"ready\n"}
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert keys == {"".join(f"{(tmp_path / f'book{n}/secret_key').read_text()}\n" for n in range(50))}
    assert [path.name for path in (tmp_path / "book0").iterdir()] == ["secret_key"]


def test_a_key_of_a_file_elsewhere_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    read = settings.load(
        {"GUESTBOOK_DATA_DIR": str(folder), "GUESTBOOK_SECRET_KEY_FILE": str(tmp_path / "key")}
    )
    assert read.secret_key == KEY
    assert not (folder / "secret_key").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "a secret key needs at least 16 characters"),
        (b"hunter2", "a secret key needs at least 16 characters"),
        (b"\xff" * 20, "invalid start byte"),
    ],
)
def test_a_bad_key_file_is_named_without_what_is_in_it(
    content: bytes | None, why: str, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        settings.load({"GUESTBOOK_DATA_DIR": str(folder), "GUESTBOOK_SECRET_KEY_FILE": str(path)})
    assert str(raised.value).startswith(f"GUESTBOOK_SECRET_KEY_FILE is '{path}': ")
    assert why in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_app_ends_with_the_line_that_names_the_setting(folder: Path) -> None:
    with pytest.raises(SystemExit, match="Error: GUESTBOOK_TIMEOUT is '0': "):
        guestbook.create_app(environment(folder, {"TIMEOUT": "0"}))
