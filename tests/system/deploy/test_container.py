"""The container: what its Dockerfile says is run here, and the files that servers for apps read are complete.

With `GUESTBOOK_TEST_PODMAN`, a call of Podman, its image is built and used too, which takes minutes. The one
that it begins with is made of Debian's packages, so that no registry is asked.

The guide is run-in-a-container.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
import yaml

from guestbook import settings
from guestbook.lib import VERSION
from guestbook.storage import database
from tests.conftest import run
from tests.support.processes import ROOT, Started, clean_environ, fetch, free_port, sign, started, wait_for
from tests.support.receiver import Receiver
from tests.system.browser.new_book import page_elsewhere, see_the_first_webhook
from tests.system.deploy.installation import Installation

DEPLOY = ROOT / "deploy"
PODMAN = shlex.split(os.environ.get("GUESTBOOK_TEST_PODMAN", ""))
STOPPED_WITHIN = 10.0  # seconds; Docker kills a container then
IMAGE, BASE = "localhost/guestbook-test", "localhost/guestbook-test-base"


def instructions(word: str, text: str | None = None) -> list[str]:
    """Return what follows that word in the Dockerfile's last stage, in its order."""
    whole = (text or (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    last = re.split(r"(?m)^(?=FROM )", whole)[-1]
    return re.findall(rf"(?m)^{word} +(.+)$", last)


def command(word: str) -> list[str]:
    """Return the words of CMD, or of the one in HEALTHCHECK."""
    [text] = instructions(word)
    words: list[str] = json.loads(text[text.index("[") :])
    return words


def environment() -> dict[str, str]:
    return dict(part.split("=", 1) for text in instructions("ENV") for part in text.split())


class Container(Protocol):
    """A way to run what the Dockerfile says."""

    address: str

    def running(self) -> AbstractContextManager[Started]: ...

    def done(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Call a program in the container."""

    def stop(self, program: Started, name: str) -> None:
        """Send its first process that signal."""


class Namespaces:
    """The checkout instead of the image: it is the first process there is, and may write to /data alone."""

    def __init__(self, host: Installation) -> None:
        host.data.mkdir(mode=0o700)
        os.chown(host.data, host.user, host.user)
        self._host, port = host, free_port()
        self.address = f"http://127.0.0.1:{port}"
        path = f"{host.checkout / '.venv/bin'}:{os.environ['PATH']}"
        given = {"PATH": path, "PORT": str(port), "GUESTBOOK_DATA_DIR": str(host.data)}
        assert environment().keys() >= given.keys()
        own = {"GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8"}  # The test's receiver is on this machine.
        self._environ = clean_environ(**environment() | given | own)

    @contextmanager
    def running(self) -> Iterator[Started]:
        data, user = shlex.quote(str(self._host.data)), str(self._host.user)
        mounts = f"mount --bind {data} {data} && mount -o remount,bind,ro /"
        as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *command("CMD")]
        inside = ["sh", "-c", f"{mounts} && cd {data} && exec {shlex.join(as_user)}"]
        apart = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child", *inside]
        with started(apart, env=self._environ) as program:
            yield program

    def done(self, *words: str) -> "subprocess.CompletedProcess[str]":
        program = shutil.which(words[0], path=self._environ["PATH"])
        assert program
        user = self._host.user
        as_user = {"env": self._environ, "cwd": self._host.data, "user": user, "group": user}
        return run(program, *words[1:], extra_groups=[], **as_user)

    def stop(self, program: Started, name: str) -> None:
        [first] = psutil.Process(program.process.pid).children()
        assert psutil.STATUS_ZOMBIE not in [one.status() for one in first.children()]
        first.send_signal(signal.Signals[name])


class Image:
    """The image, as Podman runs it: not root, without any capability, and with a root that is read-only."""

    def __init__(self, port: int, volume: str) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._port, self._volume, self._name = port, volume, f"guestbook-test-{port}"

    @contextmanager
    def running(self) -> Iterator[Started]:
        limits = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=host"]
        values = ["--env", f"PORT={self._port}", "--env", "GUESTBOOK_ALLOW_NETWORKS=127.0.0.0/8"]
        kept = [f"--name={self._name}", f"--volume={self._volume}:/data"]
        try:
            with started([*PODMAN, "run", "--rm", *limits, *values, *kept, IMAGE]) as program:
                yield program
        finally:
            podman("rm", "--force", "--ignore", self._name)

    def done(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return podman("exec", self._name, *words)

    def stop(self, program: Started, name: str) -> None:
        program.process.send_signal(signal.Signals[name])  # Podman passes it on.


def podman(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*PODMAN, *words], capture_output=True, text=True, timeout=600, check=False)


def use(container: Container, receiver: Receiver) -> None:
    """Set the book up, sign it, see webhooks, stop it, and find the comment after the next start."""
    began = time.monotonic()
    with container.running() as program:
        wait_until_healthy(container, program)
        with page_elsewhere() as page:
            see_the_first_webhook(page, began, program.output, container.address)
        added = container.done("guestbook", "webhooks", "add", receiver.url("/"))
        assert added.returncode == 0, added.stdout + added.stderr
        assert sign(container.address, message="From a container") == 303
        receiver.wait_for(1)
        assert receiver.requests[0].json["data"]["comment"]["message"] == "From a container"
        [name] = instructions("STOPSIGNAL")
        ends_well(container, program, name)
    with container.running() as program:
        wait_until_healthy(container, program)
        assert "From a container" in fetch(f"{container.address}/")[1]
        ends_well(container, program, "SIGTERM")


def wait_until_healthy(container: Container, program: Started) -> None:
    assert container.done(*command("HEALTHCHECK")).returncode != 0
    wait_for(lambda: container.done(*command("HEALTHCHECK")).returncode == 0, 60, program.output)


def ends_well(container: Container, program: Started, name: str) -> None:
    began = time.monotonic()
    container.stop(program, name)
    assert program.process.wait(30) == 0, program.output()
    assert time.monotonic() - began < STOPPED_WITHIN
    assert "Traceback" not in program.output()


@pytest.mark.needs("unshare", "chromium")
def test_the_first_process_serves_sends_and_stops_with_a_root_that_is_read_only(
    installation: Installation, receiver: Receiver
) -> None:
    use(Namespaces(installation), receiver)


@pytest.mark.skipif(not PODMAN, reason="GUESTBOOK_TEST_PODMAN builds the image, which takes minutes")
def test_the_image_is_built_and_used(receiver: Receiver, tmp_path: Path) -> None:
    if podman("image", "exists", BASE).returncode:
        make_base(tmp_path / "base.tar")
    limits = [f"--ulimit={name}=1024:1024" for name in ("nofile", "nproc")]  # Some hosts allow no others.
    built = podman(
        "build", f"--from={BASE}", "--format=docker", "--network=host", *limits, "--tag", IMAGE, str(ROOT)
    )
    assert built.returncode == 0, built.stdout + built.stderr
    volume = podman("volume", "create").stdout.strip()
    try:
        use(Image(free_port(), volume), receiver)
    finally:
        podman("volume", "rm", volume)


def make_base(archive: Path) -> None:
    """Make what the Dockerfile begins with of Debian's packages; it trusts this machine's authorities."""
    [release] = re.findall(
        r"(?m)^FROM docker.io/library/debian:(\w+)-slim AS", (ROOT / "Dockerfile").read_text()
    )
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")]
    trusted = "--customize-hook=copy-in /usr/local/share/ca-certificates /usr/local/share"
    made = ["mmdebstrap", "--variant=minbase", *left_out, trusted, release, str(archive)]
    subprocess.run(made, check=True, capture_output=True)
    assert podman("import", str(archive), BASE).returncode == 0


def test_the_image_is_for_every_processor_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text()
    steps = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert re.findall(r"amd64|x86|arm|aarch|platform", steps, re.IGNORECASE) == []
    assert instructions("USER") == ["1000:1000"]
    assert instructions("EXPOSE") == [environment()["PORT"]] == ["8080"]
    assert (
        instructions("VOLUME")
        == instructions("WORKDIR")
        == [environment()["GUESTBOOK_DATA_DIR"]]
        == ["/data"]
    )


def test_the_image_holds_the_program_alone() -> None:
    first, *others = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert first == "*"
    kept = {line.removeprefix("!") for line in others if line.startswith("!")}
    assert {name for name in kept if not (ROOT / name).exists()} == set()
    assert kept & {".env", ".git", ".venv", "instance", "tests"} == set()
    assert "**/__pycache__" in others


# --- the files that Compose, home servers and other hosts of apps read


def parsed(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


COMPOSE = {
    "compose.yaml": "guestbook",
    "deploy/casaos/docker-compose.yml": "guestbook",
    "deploy/umbrel/guestbook/docker-compose.yml": "web",
    "deploy/coolify/docker-compose.yaml": "guestbook",
}


@pytest.mark.parametrize("name", COMPOSE)
def test_each_compose_file_keeps_the_book_and_lets_the_last_requests_end(name: str, tmp_path: Path) -> None:
    service = parsed(name)["services"][COMPOSE[name]]
    assert service.get("build") == "." or service["image"] == f"registry.example.org/guestbook:{VERSION}"
    assert "command" not in service
    assert service["hostname"] == "guestbook"  # A new container is the same host to the book.
    [volume] = service["volumes"]
    source, _, target = volume.rpartition(":")
    assert target == "/data"
    assert source in (parsed(name).get("volumes") or {"${APP_DATA_DIR}/data"})
    grace = {"60s": 60, "1m": 60}[service["stop_grace_period"]]
    assert grace > settings.load({"GUESTBOOK_DATA_DIR": str(tmp_path)}).timeout + database.RETRY_FOR


def test_the_own_compose_file_gives_the_container_no_more_than_it_needs() -> None:
    service = parsed("compose.yaml")["services"]["guestbook"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    given = {line.partition("=")[0] for line in service["environment"]}
    assert given == {"GUESTBOOK_BASE_URL", "GUESTBOOK_TRUSTED_PROXIES"} <= settings.SETTING_NAMES


def test_casaos_finds_what_it_requires() -> None:
    """https://github.com/IceWhaleTech/CasaOS-AppStore: docs/specs/compose-and-x-casaos.md"""
    compose = parsed("deploy/casaos/docker-compose.yml")
    app = compose["x-casaos"]
    assert re.fullmatch(r"[a-z0-9_-]+", compose["name"])
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)+", app["id"])
    assert app.keys() >= {"icon", "tagline", "description", "author", "developer", "index"}
    [port] = compose["services"][app["main"]]["ports"]
    assert (port["target"], port["published"]) == (8080, app["port_map"])
    assert app["category"] in (
        "Media",
        "Productivity",
        "Home",
        "Networking",
        "AI",
        "Finance",
        "Social",
        "Developer",
    )
    assert app["title"]["en_US"] == "Guestbook"
    assert (app["architectures"], app["version"]) == (["amd64", "arm64"], VERSION)


def test_umbrel_finds_what_it_requires() -> None:
    """https://github.com/getumbrel/umbrel-apps: .claude/skills/umbrel-package-app/SKILL.md"""
    folder = DEPLOY / "umbrel/guestbook"
    manifest = parsed("deploy/umbrel/guestbook/umbrel-app.yml")
    order = "manifestVersion id category name version tagline description releaseNotes developer website"
    order += (
        " dependencies repo support port gallery path defaultUsername defaultPassword submitter submission"
    )
    assert list(manifest) == order.split()
    assert (manifest["id"], manifest["version"]) == (folder.name, VERSION)
    services = parsed("deploy/umbrel/guestbook/docker-compose.yml")["services"]
    proxy = services["app_proxy"]["environment"]
    assert (proxy["APP_HOST"], proxy["APP_PORT"]) == (f"{manifest['id']}_web_1", 8080)
    assert manifest["path"].startswith("/admin")
    assert "/admin/*" in proxy["PROXY_AUTH_BLACKLIST"].split(",")
    assert services["web"]["user"] == instructions("USER")[0]  # The folder is this user's on Umbrel.
    assert "ports" not in services["web"]
    assert (folder / "data/.gitkeep").exists()


def test_coolify_finds_what_it_requires() -> None:
    """https://coolify.io/docs: the metadata of a service, and the variables that Coolify fills in."""
    head = (DEPLOY / "coolify/docker-compose.yaml").read_text().partition("\n\n")[0]
    said = dict(line.removeprefix("# ").split(": ", 1) for line in head.splitlines())
    assert said.keys() == {"documentation", "slogan", "category", "tags", "logo", "port"}
    environ = parsed("deploy/coolify/docker-compose.yaml")["services"]["guestbook"]["environment"]
    assert f"SERVICE_URL_GUESTBOOK_{said['port']}" in environ
    assert "GUESTBOOK_BASE_URL=${SERVICE_URL_GUESTBOOK}" in environ


def test_dokku_finds_what_it_requires() -> None:
    """https://dokku.com/docs/appendices/file-formats/app-json/"""
    app = json.loads((DEPLOY / "dokku/app.json").read_text())
    [check] = app["healthchecks"]["web"]
    allowed = "attempts command content initialDelay name path port timeout type uptime wait"
    assert check.keys() <= set(allowed.split())
    assert (check["type"], check["path"], check["port"]) == ("startup", "/healthz", 8080)
    assert app["formation"] == {"web": {"quantity": 1}}
