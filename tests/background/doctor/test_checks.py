"""What single checks of doctor say."""

import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from guestbook.background.doctor import State, database_checks, host_checks, network_checks
from guestbook.lib import clock, current_process, ids, signatures
from guestbook.queue import deleted_comments
from guestbook.storage import hits_and_notes, hosts_sharing_sqlite
from guestbook.storage.database import db
from guestbook.transport.failure import FAILURE_SENTENCES, SENDER_FAILURES, UNREACHABLE
from tests.background.doctor.conftest import Look, is_fine
from tests.support import factories, secret_keys

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
nas:/home /home nfs4 rw,vers=4.2 0 0
//nas/share /srv/my\\040books cifs rw 0 0
me@host:/ /mnt/host fuse.sshfs rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/var/lib/book", "ext4", False),
        ("/home/you/book", "nfs4", True),
        ("/srv/my books/book", "cifs", True),
        ("/mnt/host/book", "fuse.sshfs", True),
        ("/home/local/book", "ext4", False),
        ("/homely", "ext4", False),
    ],
)
def test_the_deepest_mount_says_on_which_file_system_a_folder_lies(
    tmp_path: Path, folder: str, kind: str, network: bool
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert database_checks.type_of(Path(folder), tmp_path / "mounts") == kind
    assert bool(database_checks.NETWORK_TYPES.fullmatch(kind)) is network


def test_wal_on_a_network_drive_is_a_problem_and_the_line_for_the_settings_solves_it(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_checks, "type_of", lambda _folder: "nfs4")
    finding = look()["journal mode"]
    assert finding.state is State.PROBLEM
    assert "network drive (nfs4)" in finding.sentence
    name, _, url = str(finding.command).partition("=")
    assert name == "GUESTBOOK_DATABASE_URL"
    db.engine.dispose()  # else the file keeps its mode while it is open
    assert is_fine(look(database_url=url), "journal mode")


def test_another_program_that_keeps_the_file_locked_is_a_warning(look: Look, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "guestbook.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        finding = look()["writing"]
    assert finding.state is State.WARNING
    assert "kept the database locked for 2 seconds" in finding.sentence
    assert is_fine(look(), "writing")


def test_a_damaged_page_is_found_where_all_else_still_works(look: Look, tmp_path: Path) -> None:
    for number in range(100):
        factories.sign(f"{number} " + "x" * 2000)
    with db.engine.connect() as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'comments_by_status'"
        page = connection.exec_driver_sql(query).scalar_one()
    db.session.remove()
    db.engine.dispose()
    with (tmp_path / "guestbook.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    findings = look()
    assert findings["damage"].state is State.PROBLEM
    assert "The database is damaged" in findings["damage"].sentence
    assert "keep a copy of the file" in str(findings["damage"].advice)
    assert is_fine(findings, "database", "tables", "versions")


def test_files_that_others_can_read_are_a_warning(look: Look, tmp_path: Path) -> None:
    (tmp_path / ".env").touch(0o640)
    tmp_path.chmod(0o755)
    finding = look(secret_key="x" * 40)["secret key"]
    assert finding.state is State.WARNING
    assert finding.command == f"chmod 600 {tmp_path}/.env"
    (tmp_path / ".env").chmod(0o600)
    assert is_fine(look(secret_key="x" * 40), "secret key")
    (tmp_path / ".env").chmod(0o644)
    tmp_path.chmod(0o700)
    assert is_fine(look(secret_key="x" * 40), "secret key"), "nobody reaches it in a closed folder"
    assert "only 16 characters" in look(secret_key="x" * 16)["secret key"].sentence


def test_rows_in_the_future_are_a_warning(look: Look) -> None:
    assert is_fine(look(), "clock")
    factories.past_pass(-timedelta(hours=2))
    assert "newest pass of cron is from" in look()["clock"].sentence


def test_cron_that_never_came_is_a_problem_once_something_could_be_sent(look: Look) -> None:
    finding = look()["cron"]
    assert finding.state is State.WARNING
    assert finding.sentence == "Cron has never come, so nothing is sent."
    assert str(finding.command).startswith("* * * * * ")
    hook = factories.webhook()
    assert look()["cron"].state is State.PROBLEM
    factories.past_pass(timedelta(minutes=20))
    assert look()["cron"].state is State.WARNING
    factories.delivery(hook, due_at=clock.now() - timedelta(minutes=2))
    late = look()["cron"]
    assert (late.state, late.sentence[-20:]) == (State.PROBLEM, " Deliveries are due.")
    factories.delivery(hook, due_at=clock.now() - timedelta(minutes=16))
    findings = look()
    assert findings["cron"].state is State.PROBLEM
    assert findings["backlog"].sentence.startswith("2 deliveries wait to be sent. The oldest")
    assert "due 16 minutes ago" in findings["backlog"].sentence


def test_a_failing_webhook_is_named_with_its_last_failure_and_what_helps(look: Look) -> None:
    since = clock.now() - timedelta(hours=1)
    hook = factories.webhook(name="Chat", failing_since=since, failures_in_a_row=3)
    refused = FAILURE_SENTENCES["proxy_refused"]
    factories.delivery(hook, attempts=3, claims=3, last_error=refused)
    note = "Delivered; the rest of the answer was left unread (too long)."
    factories.delivery(hook, status="processed", last_error=note)
    factories.delivery(hook, status="failed", last_error=deleted_comments.SUPERSEDED, erased_at=clock.now())
    factories.webhook(name="Old", disabled_at=since, disabled_reason="by_hand")
    findings = look()
    assert findings["webhook Chat"].state is State.WARNING
    assert "Failing for 1 hour" in findings["webhook Chat"].sentence
    assert findings["webhook Chat"].sentence.endswith(refused)
    assert "webhook Old" not in findings


@pytest.mark.parametrize("reason", ["connect_failed", "timeout"])
def test_a_dead_mail_server_leads_to_its_setting_and_port_587(look: Look, reason: str) -> None:
    since, failure = clock.now() - timedelta(hours=1), f"{FAILURE_SENTENCES[reason]} (mail.example.org)"
    mail = {"format": "email", "failing_since": since, "failures_in_a_row": 3}
    hook = factories.webhook("mailto:you@example.org", name="Mail", **mail)
    factories.delivery(hook, attempts=3, claims=3, last_error=failure)
    advice = str(look()["webhook Mail"].advice)
    assert "GUESTBOOK_SMTP_URL" in advice
    assert "port 587" in advice


def test_a_webhook_that_was_disabled_is_no_longer_tried_so_the_owner_enables_it(look: Look) -> None:
    for name, error in (("Chat", "The receiver answered 500."), ("Old", "The receiver answered 404.")):
        hook = factories.webhook(name=name, disabled_at=clock.now(), disabled_reason="failing")
        key = factories.delivery(hook, attempts=3, claims=3, last_error=error)
    findings = look()
    shows = "Then enable the webhook. This shows how it was signed."
    assert findings["webhook Chat"].advice == f"{network_checks.LAST_ATTEMPT} {shows}"
    assert findings["webhook Old"].advice.endswith(f"does not know it. {shows}")
    assert findings["webhook Old"].command.endswith(f"deliveries explain {key}")


def test_what_a_listener_fetches_needs_no_cron_and_other_advice(look: Look) -> None:
    since = clock.now() - timedelta(hours=1)
    hook = factories.webhook("pull:", name="Laptop", failing_since=since, failures_in_a_row=3)
    factories.delivery(hook, due_at=since, last_error="The receiver answered 404.")
    findings = look()
    assert findings["cron"].state is State.WARNING
    assert is_fine(findings, "backlog")
    assert findings["backlog"].sentence == "One delivery waits to be fetched."
    assert "its receiver may fetch the next one now." in findings["webhook Laptop"].sentence
    assert findings["webhook Laptop"].advice.startswith(network_checks.PULLED_ADVICE)


@pytest.mark.parametrize("reason", sorted({*UNREACHABLE, *SENDER_FAILURES, "proxy_refused"}))
def test_each_reason_why_nothing_arrives_has_advice(reason: str) -> None:
    own = network_checks.advice_for(f"{FAILURE_SENTENCES[reason]} (some detail)")
    general = reason in ("closed", "out_of_sockets", "out_of_memory", "send_timeout", "timeout")
    assert (own == network_checks.ANY_ADVICE) is general


def test_answers_that_only_the_owner_can_change_have_advice() -> None:
    assert "a password or a token" in network_checks.advice_for("The receiver answered 401.")
    assert "only a list of hosts" in network_checks.advice_for("The receiver answered 403.")
    assert network_checks.advice_for("The receiver answered 500.") == network_checks.ANY_ADVICE


def test_a_webhook_with_an_unreadable_secret_leads_to_what_is_said_about_secrets(look: Look) -> None:
    factories.webhook(name="Chat")
    secret_keys.use(secret_keys.NEW_KEY)
    findings = look()
    assert findings["webhook Chat"].advice == network_checks.UNREADABLE_ADVICE
    assert findings["secrets"].state is State.PROBLEM


def test_a_pause_that_outlives_the_wrong_key_can_be_ended_by_a_command(look: Look) -> None:
    hook = factories.webhook(name="Chat")
    factories.delivery(hook)
    secret_keys.use(secret_keys.NEW_KEY)
    factories.run_pass()
    secret_keys.use(secret_keys.KEY)
    finding = look()["webhook Chat"]
    assert finding.advice == network_checks.READABLE_ADVICE
    assert str(finding.command).endswith(f"webhooks enable {hook}")


def test_a_proxy_that_webhooks_do_not_use_is_named(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_checks.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert "outbound proxy" not in look()
    monkeypatch.setenv("http_proxy", "http://proxy.server:3128")
    finding = look()["outbound proxy"]
    assert finding.state is State.WARNING
    assert finding.command == "GUESTBOOK_OUTBOUND_PROXY=http://proxy.server:3128"
    assert is_fine(look(outbound_proxy="http://proxy.server:3128"), "outbound proxy")


def test_an_address_that_differs_from_the_settings_is_a_warning(look: Look, tmp_path: Path) -> None:
    assert "No request has come" in look()["base URL"].sentence
    seen = {hits_and_notes.OTHER_HOST: "https://real.example", hits_and_notes.HTTPS: ""}
    hits_and_notes.note_observations(tmp_path, seen)
    findings = look(base_url="http://guess.example/book")
    assert findings["base URL"].state is State.WARNING
    assert findings["base URL"].command == "GUESTBOOK_BASE_URL=https://real.example/book"
    assert findings["HTTPS"].command == "GUESTBOOK_BASE_URL=https://guess.example/book"
    hits_and_notes.note_observations(tmp_path, {hits_and_notes.SAME_HOST: ""})  # The other was a mistake.
    assert is_fine(look(), "base URL")


def test_the_number_of_proxies_is_compared_with_what_requests_carry(look: Look, tmp_path: Path) -> None:
    assert is_fine(look(), "proxies")
    hits_and_notes.note_observations(tmp_path, {hits_and_notes.BY_PROXY: ""})
    assert look()["proxies"].command == "GUESTBOOK_TRUSTED_PROXIES=1"
    assert is_fine(look(trusted_proxies=1), "proxies")
    hits_and_notes.note_observations(
        tmp_path, {f"{hits_and_notes.ADDRESSES}{number}": "" for number in (1, 3)}
    )
    assert is_fine(look(trusted_proxies=1), "proxies")
    too_high = look(trusted_proxies=2)["proxies"]
    assert "carry 1 address in X-Forwarded-For. So a visitor can invent" in too_high.sentence
    assert too_high.command == "GUESTBOOK_TRUSTED_PROXIES=1"
    (tmp_path / hits_and_notes.OBSERVATIONS_FILE).unlink()
    hits_and_notes.note_observations(tmp_path, {hits_and_notes.NO_PROXY: ""})
    assert is_fine(look(), "proxies")
    assert look(trusted_proxies=1)["proxies"].command == "GUESTBOOK_TRUSTED_PROXIES=0"


def test_two_hosts_over_one_file_are_a_problem_until_one_was_quiet_for_a_quarter_of_an_hour(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_of_another_host(tmp_path / "guestbook.db", monkeypatch)
    findings = look()
    assert findings["hosts"].state is State.PROBLEM
    assert "other (passes) was last active just now" in findings["hosts"].sentence
    assert "15 minutes after a host was last active" in str(findings["hosts"].advice)
    assert str(findings["hosts"].command).endswith(" take-over")
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=16))
    assert is_fine(look(), "hosts")


def test_the_host_that_may_write_is_not_told_to_take_over(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts_sharing_sqlite._write(tmp_path / "guestbook.db", hosts_sharing_sqlite.WEB, clock.now())
    note_of_another_host(tmp_path / "guestbook.db", monkeypatch)
    finding = look()["hosts"]
    assert (finding.state, finding.command) == (State.PROBLEM, None)
    assert "This host came first" in finding.sentence
    assert "run this here" not in str(finding.advice)


def test_a_limit_of_the_host_is_named(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hits_and_notes.note_observations(tmp_path, {hits_and_notes.HOST_LIMIT: "this host limits threads"})
    assert "ran into a limit: this host limits threads" in look()["limits"].sentence
    (tmp_path / hits_and_notes.OBSERVATIONS_FILE).unlink()
    room = current_process.Room(5, 0, current_process.FILE_LIMIT)
    monkeypatch.setattr(current_process, "room", lambda _threads: room)
    finding = look()["limits"]
    assert finding.sentence == "This host limits open files (ulimit -n): 5 of a pass's 32 threads fit."
    assert "smaller --concurrency" in str(finding.advice)


def test_the_limits_of_a_container_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"pids.max": 40, "pids.current": 30, "memory.max": 2**26, "memory.current": 0}.items():
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(host_checks, "_control", lambda name: int((tmp_path / name).read_text()))
    *_, processes, memory = host_checks.limits_of_processes_and_memory()
    assert "40 processes and threads; 10 are free" in processes
    assert memory == "This container may use 64 MiB of memory, and a pass may need 100."


def note_of_another_host(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the note of a pass on a host with another name and another kernel."""
    with monkeypatch.context() as there:
        there.setattr(ids, "host_name", lambda: "other")
        there.setattr(ids, "boot_id", lambda: "another-kernel")
        hosts_sharing_sqlite._write(file, hosts_sharing_sqlite.PASS, clock.now())


# --- keys that sign


def test_webhooks_that_sign_with_a_key_need_the_package(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.webhook(name="Plain")
    assert "keys" not in look()
    factories.webhook(name="Keyed", signing_key=signatures.new_key())
    assert look()["keys"].sentence == "1 webhook can sign with a key."
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    finding = look()["keys"]
    assert finding.state is State.PROBLEM
    assert finding.sentence.endswith("Nothing is sent to: Keyed.")
    assert "ed25519" in (finding.command or "")
