"""The guides for hosts: each is followed word by word on a machine of its own, where the book is visited."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trustme

from tests.conftest import run
from tests.support import documents
from tests.support.processes import wait_for
from tests.support.receiver import Receiver
from tests.system.deploy import visit
from tests.system.deploy.followed import COPY, REPEATED, Host
from tests.system.deploy.installation import Installed, compile_for_debian
from tests.system.deploy.machine import Machine, machine
from tests.system.deploy.visit import Browser

Visit = Callable[[Browser, Installed, Receiver], None]

pytestmark = pytest.mark.needs("machine")

PACKAGES = {
    "Apache": "apache2",
    "mod_wsgi": "libapache2-mod-wsgi-py3",
    "nginx": "nginx",
    "Passenger": "libapache2-mod-passenger",
    "systemd": "systemd",
}
FOR_GUESTBOOK = f"(cd ~guestbook; {COPY}; chown -R guestbook: guestbook)"


@pytest.fixture
def own_machine() -> Iterator[Machine]:
    with machine() as one:
        yield one


def use(
    host: Host,
    receiver: Receiver,
    restart: str,
    *,
    path: str = "",
    ca: str | None = None,
    visited: Visit = visit.use,
) -> None:
    """Visit the book, and find the comment again after the server has been restarted."""
    browser = Browser(host.origin + path, ca)
    with browser.session:
        wait_for(browser.home, 30, partial(host.machine.type, "journalctl --no-pager | tail -50"))
        installed = host.installed()
        visit.set_up(browser, host.setup_link)
        visited(browser, installed, receiver)
        host.machine.type(restart)
        assert "From this host" in wait_for(browser.home, 30).text


@pytest.fixture
def ca(own_machine: Machine) -> Iterator[str]:
    """The authority of the certificate that `certbot` brings."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    certificate.write_to_path(str(own_machine.root / "etc/book.pem"))
    with authority.cert_pem.tempfile() as file:
        yield file


def passes_of_systemd(host: Host) -> str:
    """Let systemd make a pass, whenever its timer has made one; return what it knows of the timer."""
    start = "systemctl start guestbook-cron.service"
    # On a busy machine systemd sometimes cannot begin a service that has just ended, and is asked again.
    twice = 2 * f"{start} || {{ sleep 1; {start}; }}\n"
    return host.machine.type(f"{twice}systemctl list-timers guestbook-cron.timer")


@pytest.mark.needs("nginx")
def test_run_behind_nginx(own_machine: Machine, receiver: Receiver, ca: str) -> None:
    host = Host(own_machine, receiver, "guestbook", "https")
    for line in REPEATED:
        del host.replaced[line]
    host.follow("run-behind-nginx", copy=FOR_GUESTBOOK)
    host.cron = partial(passes_of_systemd, host)
    use(host, receiver, "systemctl restart guestbook.service nginx", ca=ca)


@pytest.mark.needs("nginx")
def test_run_on_a_raspberry_pi_and_run_with_systemd(
    own_machine: Machine, receiver: Receiver, ca: str
) -> None:
    host = Host(own_machine, receiver, "pi", "https")
    own_machine.type("systemctl start dbus")  # Users who are not root ask systemd by it.
    host.replaced["~guestbook/guestbook"] = "~/guestbook"  # The guide says so.
    host.follow_as_owner("run-on-a-raspberry-pi")
    host.cron = partial(passes_of_systemd, host)
    use(host, receiver, "systemctl restart guestbook.service", ca=ca)
    assert "guestbook-cron.timer" in passes_of_systemd(host)
    units = "guestbook.service guestbook-cron.service"
    stop = f"systemctl stop guestbook-cron.timer {units}; systemctl show --value -P Result {units}"
    stopped = own_machine.type(stop)
    assert stopped.split() == ["success", "success"]


@pytest.mark.needs("mod_wsgi")
def test_run_on_apache(own_machine: Machine, receiver: Receiver) -> None:
    compile_for_debian()
    host = Host(own_machine, receiver, "guestbook")
    host.apache("wsgi")
    host.follow("run-on-apache", copy=FOR_GUESTBOOK)
    use(host, receiver, "systemctl restart apache2")


@pytest.mark.needs("passenger")
def test_run_on_cpanel(own_machine: Machine, receiver: Receiver) -> None:
    host = Host(own_machine, receiver, "you")
    venv = "/home/you/virtualenv/guestbook/3"
    host.programs = f"{venv}/bin"
    host.replaced[".venv/bin/flask"] = "flask"
    application = f"""mkdir guestbook
share-packages {venv}
source {venv}/bin/activate && cd /home/you/guestbook
"""
    host.follow_as_owner("run-on-cpanel", copy=COPY.replace(" .", " ~/checkout"), before=application)
    own_machine.type("chmod o+x /home/you")  # as cPanel makes it
    host.apache("passenger alias", PASSENGER.format(venv=venv))
    use(host, receiver, "systemctl restart apache2", path="/guestbook")


# What cPanel writes for an application; Passenger asks nobody on the internet here.
PASSENGER = """PassengerDisableAnonymousTelemetry on
PassengerDisableSecurityUpdateCheck on
Alias /guestbook /home/you/guestbook/guestbook/static
<Location /guestbook>
    PassengerBaseURI /guestbook
    PassengerAppRoot /home/you/guestbook
    PassengerPython {venv}/bin/python
    Require all granted
</Location>
"""


@pytest.mark.needs("cgi")
def test_run_on_dreamhost(own_machine: Machine, receiver: Receiver) -> None:
    host = Host(own_machine, receiver, "you")
    host.follow_as_owner("run-on-dreamhost")
    # The programs of a site run as its owner there.
    own_machine.type("chmod o+x /home/you; sed -i 's/www-data/you/' /etc/apache2/envvars")
    host.apache("cgid mime rewrite dir env", CGI)
    use(host, receiver, "systemctl restart apache2", path="/guestbook", visited=visit.use_most)


CGI = """DocumentRoot /home/you/example.org
<Directory /home/you/example.org>
    AllowOverride All
    Require all granted
</Directory>
"""


@pytest.mark.needs("uwsgi")
def test_run_on_alwaysdata(own_machine: Machine, receiver: Receiver) -> None:
    text = documents.read("howto/run-on-alwaysdata")
    host = Host(own_machine, receiver, "you")
    host.follow_as_owner("run-on-alwaysdata")
    host.cron_lines = re.findall(r"`(/home/you/guestbook/\S+ --app guestbook cron)`", text)
    fields = dict(re.findall(r"(?m)^\| (\w+ [pd]\w+) \| `(.*)` \|$", text))
    options = f"--wsgi-file {fields['Application path']} --chdir {fields['Working directory']}"
    options += f" --virtualenv {fields['Virtualenv directory']} --master --threads 4 --post-buffering 65536"
    options += f" --http 127.0.0.1:{host.port} --add-header 'Connection: close'"
    own_machine.type(f"systemd-run --unit=site --uid=you {host.programs}/uwsgi {options}")
    use(host, receiver, "systemctl restart site")


@pytest.mark.needs("gunicorn")
@pytest.mark.needs("nginx")
def test_run_on_pythonanywhere(own_machine: Machine, receiver: Receiver) -> None:
    host = Host(own_machine, receiver, "you")
    host.follow_as_owner("run-on-pythonanywhere")
    own_machine.type(f"""cp {host.checkout}/deploy/pythonanywhere/wsgi.py /srv/
cp /opt/guestbook/deploy/nginx/guestbook.conf /etc/nginx/sites-enabled/
systemctl start nginx  # the one proxy
cd /srv; systemd-run --same-dir --unit=site --uid=you \\
    {host.programs}/gunicorn --workers 1 --bind {host.behind} wsgi:application""")
    use(host, receiver, "systemctl restart site")


@pytest.mark.parametrize("name", PACKAGES)
def test_the_guides_name_the_versions_that_were_run(name: str) -> None:
    if 'VERSION_ID="13"' not in Path("/etc/os-release").read_text():
        pytest.skip("the guides name the versions of Debian 13")
    text = "".join(page.read_text() for page in documents.DOCS.glob("howto/run-*.md"))
    named = set(re.findall(rf"\b{name} (\d[\d.]*\d)", text))
    done = run("dpkg-query", "--show", "--showformat=${Version}", PACKAGES[name])
    assert named
    assert all(done.stdout.startswith(f"{version}.") for version in named), done.stdout
