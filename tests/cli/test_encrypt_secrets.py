"""The command that encrypts all secrets anew, and doctor's words about them."""

import errno
import os
import sys
from pathlib import Path

import pytest
from flask import Flask

import guestbook
from guestbook.background.doctor import DoctorFinding, examination
from guestbook.lib import clock, encryption
from guestbook.storage.models import Source, Webhook
from tests.cli.conftest import Shell
from tests.conftest import running, settings_for
from tests.support import factories, secret_keys
from tests.support.secret_keys import KEY, NEW_KEY

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def own_key(tmp_path: Path) -> dict[str, str]:
    """The environment of a book whose secret key is in the data folder."""
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    del environ["GUESTBOOK_SECRET_KEY"]
    return environ


def finding() -> DoctorFinding:
    """Return what doctor says about the secrets."""
    return next(one for one in examination.examine(factories.settings()) if one.subject == "secrets")


def test_after_a_change_of_the_key_doctor_asks_for_it_and_it_needs_to_run_once(shell: Shell) -> None:
    hook = factories.webhook(secret=SECRET, headers={"X-Key": "hidden"})
    factories.source(verify="github", secret="of the source")
    assert finding().sentence == "3 secrets can be decrypted."
    secret_keys.use(NEW_KEY, KEY)
    found = finding()
    assert found.sentence == "3 secrets must be encrypted again with the present secret key."
    assert "encrypt-secrets" in str(found.command)
    assert shell("encrypt-secrets") == "Encrypted 3 secrets again, of 3.\n"
    assert shell("encrypt-secrets") == "Encrypted 0 secrets again, of 3.\n"
    secret_keys.use(NEW_KEY)
    assert finding().sentence == "3 secrets can be decrypted."
    assert factories.the(Webhook, hook).secret == SECRET
    assert [one["object"] for one in shell.json("audit")] == ["encryption"]


def test_with_a_wrong_key_doctor_and_the_command_say_what_helps(shell: Shell) -> None:
    hook = factories.webhook(secret=SECRET)
    factories.source(verify="github", secret="of the source")
    secret_keys.use(NEW_KEY)
    found = finding()
    assert found.sentence == (
        "Secrets of 1 webhook and 1 source cannot be decrypted, so what needs them waits. "
        "The secret key is not the one with which this was encrypted."
    )
    assert "GUESTBOOK_SECRET_KEY_FALLBACKS" in str(found.advice)
    assert "run encrypt-secrets" in str(found.advice)
    result = shell.result("encrypt-secrets")
    assert result.exit_code == 1
    assert f"webhooks {hook}" in result.stderr
    assert "(unreadable)" in shell("webhooks", "show", hook, "--secret")
    assert shell.json("webhooks", "list")[0]["id"] == hook


def test_a_lost_key_is_made_good_by_new_secrets(shell: Shell) -> None:
    hook = factories.webhook(secret=SECRET)
    source = factories.source(verify="github", secret="of the source")
    secret_keys.use(NEW_KEY)
    shell("webhooks", "rotate-secret", hook)
    shell("sources", "rotate-secret", source)
    assert finding().sentence == "2 secrets can be decrypted."
    row = factories.the(Webhook, hook)
    assert (row.is_unreadable(clock.now()), row.previous_secret) == (False, None)
    assert factories.the(Source, source).previous_secret is None


def test_a_new_key_goes_beside_the_old_one(tmp_path: Path, own_key: dict[str, str]) -> None:
    with running(own_key) as app, app.app_context():
        old = (tmp_path / "secret_key").read_text()
        hook = factories.webhook(secret=SECRET)
        said = Shell(app.test_cli_runner())("encrypt-secrets", "--new-key")
        assert "Restart the web server and workers now." in said
        assert said.endswith("Encrypted 1 secret again, of 1.\n")
    assert (tmp_path / "secret_key").read_text() != old
    older = tmp_path / "secret_key_fallbacks"
    assert (older.read_text(), older.stat().st_mode & 0o777) == (f"{old}\n", 0o600)
    older.unlink()
    with running(own_key) as app, app.app_context():
        assert factories.the(Webhook, hook).secret == SECRET


def test_on_a_full_disk_the_old_key_stays_and_a_sentence_says_so(
    tmp_path: Path, own_key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with running(own_key) as app, app.app_context():
        old = (tmp_path / "secret_key").read_text()
        monkeypatch.setattr(os, "fsync", is_full)
        said = Shell(app.test_cli_runner()).refused("encrypt-secrets", "--new-key")
    why = "No space left on device. The secret key is still the old one."
    assert said == f"Error: {tmp_path} cannot be written: {why}\n"
    assert (tmp_path / "secret_key").read_text() == old


def test_a_key_from_a_setting_is_not_replaced(shell: Shell) -> None:
    assert "GUESTBOOK_SECRET_KEY_FALLBACKS" in shell.refused("encrypt-secrets", "--new-key")


def test_without_the_package_it_says_how_to_install_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    encryption.has_package.cache_clear()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    try:
        hook = factories.webhook(secret=SECRET)
        assert factories.the(Webhook, hook).secret == SECRET
        found = finding()
        assert "stored unencrypted" in found.sentence
        assert "encryption" in str(found.command)
        assert "cryptography is not installed" in shell.refused("encrypt-secrets")
    finally:
        monkeypatch.undo()
        encryption.has_package.cache_clear()
    assert finding().sentence == "1 secret must be encrypted again with the present secret key."


def test_forms_and_logins_from_before_work_while_the_old_key_is_named(environ: dict[str, str]) -> None:
    from guestbook.web import visitor_tokens

    def in_app(**changes: str) -> Flask:
        return guestbook.create_app({**environ, **changes})

    new = {"GUESTBOOK_SECRET_KEY": NEW_KEY}
    with in_app().test_request_context():
        token = visitor_tokens.new_token()
    with in_app(**new, GUESTBOOK_SECRET_KEY_FALLBACKS=KEY).test_request_context():
        assert visitor_tokens.read_token(token).nonce
    with in_app(**new).test_request_context(), pytest.raises(visitor_tokens.FormError):
        visitor_tokens.read_token(token)
