"""Apache with mod_wsgi, with Passenger, and with CGI alone, on Debian's own Python and packages.

Here are places on a site that the guides leave to their readers. test_guides.py follows the guides.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.processes import Started, free_port, wait_for
from tests.support.receiver import Receiver
from tests.system.deploy import visit
from tests.system.deploy.installation import Installation

MAIN = """ServerRoot {run}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
DefaultRuntimeDir {run}
PidFile {run}/apache.pid
ErrorLog {run}/error.log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
{site}
"""
MODULES = "/usr/lib/apache2/modules"


def load(*names: str) -> str:
    return "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in names)


@contextmanager
def apache(host: Installation, port: int, site: str) -> Iterator[Started]:
    text = MAIN.format(run=host.run, port=port, modules=MODULES, site=site)
    main = host.write("apache.conf", text)
    with host.started("apache2", "-D", "FOREGROUND", "-f", str(main)) as server:
        log = host.run / "error.log"
        wait_for(lambda: log.exists() and "resuming normal" in log.read_text(), 30, server.output)
        try:
            yield server
        except BaseException as error:
            error.add_note(log.read_text())  # Apache says why there
            raise


@pytest.mark.needs("mod_wsgi")
def test_mod_wsgi_serves_the_book_below_a_path(debian_host: Installation, receiver: Receiver) -> None:
    port = free_port()
    conf = debian_host.file(
        "apache/guestbook.conf",
        ("user=guestbook group=guestbook ", ""),  # Apache's own user: only root can become another
        ("processes=2", "processes=1"),
        ("WSGIScriptAlias / ", "WSGIScriptAlias /guestbook "),
    )
    debian_host.file("apache/guestbook.wsgi")
    site = f"{load('wsgi')}WSGISocketPrefix {debian_host.run}/wsgi\nInclude {conf}\n"
    server = apache(debian_host, port, site)
    visit.whole(debian_host, f"http://127.0.0.1:{port}/guestbook", receiver, server)


@pytest.mark.needs("passenger")
def test_passenger_serves_the_book(debian_host: Installation, receiver: Receiver, path: str) -> None:
    port = free_port()
    below = [(f"# {line}", line) for line in ("Alias", "<Location", "    Passenger", "</Location")]
    conf = debian_host.file("passenger/apache.conf", *(below if path else []))
    debian_host.file("passenger/passenger_wsgi.py")
    site = load("passenger", "alias") + PASSENGER.format(
        run=debian_host.run, static=debian_host.checkout / "guestbook/static", conf=conf
    )
    server = apache(debian_host, port, site)
    visit.whole(debian_host, f"http://127.0.0.1:{port}{path}", receiver, server)


PASSENGER = """PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini
PassengerInstanceRegistryDir {run}
PassengerDataBufferDir {run}
PassengerUserSwitching off
PassengerMaxPoolSize 1
DocumentRoot {static}
Include {conf}
"""


@pytest.mark.needs("cgi")
def test_plain_cgi_serves_the_book_at_the_top_of_a_site(
    debian_host: Installation, receiver: Receiver
) -> None:
    port = free_port()
    root = debian_host.run / "www"
    root.mkdir()
    for name in (".htaccess", "index.cgi"):  # as executable as in the checkout
        shutil.copy(debian_host.file(f"cgi/{name}"), root)
    site = load("cgid", "mime", "rewrite", "dir", "env") + CGI.format(run=debian_host.run, root=root)
    server, url = apache(debian_host, port, site), f"http://127.0.0.1:{port}"
    with visit.served(debian_host, url, receiver, server) as (browser, _):
        visit.read(browser)  # each page starts Python anew, so the visit below a path has to do for the rest


CGI = """ScriptSock {run}/cgid
DocumentRoot {root}
TypesConfig /dev/null
<Directory {root}>
    AllowOverride All
    Require all granted
</Directory>
"""
