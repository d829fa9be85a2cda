"""A guide is followed on a machine: its lines are typed as they stand, but for what the tables here say."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from sqlalchemy import Connection, create_engine

from guestbook.settings.secret_key import KEY_FILE
from tests.support.processes import ROOT, free_port
from tests.support.receiver import Receiver
from tests.system.deploy import guide
from tests.system.deploy.installation import PROGRAMS, SCRIPT, Installed
from tests.system.deploy.machine import PACKAGES, Machine

# Programs that need a network, a terminal, or a package that the tests do without.
REPLACED_PROGRAMS = {
    # The packages are here. Debian starts a server when it has installed it.
    "apt": 'for name in nginx apache2; do case " $* " in *" $name "*) systemctl start $name ;; esac; done',
    # All users may become root without a password.
    "sudo": """if [ "$1" = -iu ]; then exec runuser -l "$2" -s /bin/bash; fi
PATH=/usr/sbin:/sbin:$PATH
exec as-root -p -c 'exec setpriv --reuid 0 --regid 0 --clear-groups "$@"' sudo "$@\"""",
    # It adds these lines, and the authority that it asks for the certificate is the tests' own.
    "certbot": "sed -i 's|^    listen [^;]*|& ssl; ssl_certificate /etc/book.pem; ssl_certificate_key"
    " /etc/book.pem|' /etc/nginx/sites-available/guestbook && systemctl reload nginx",
    # The test runs the line for cron itself.
    "crontab": "exit 0",
    # pip and scripts/install call it: the packages of each Python are here already.
    "share-packages": """set -e
venv=$1
[ -x "$venv/bin/python" ] || {base}/bin/python3 -m venv --without-pip "$venv"
sed -i 's/include-system-site-packages = false/include-system-site-packages = true/' "$venv/pyvenv.cfg"
"$venv/bin/python" - "$PWD" <<'END'
import pathlib, sys, sysconfig
packages = "{packages}" if sys.base_prefix == "{base}" else ""
pathlib.Path(sysconfig.get_path("purelib"), "book.pth").write_text(sys.argv[1] + chr(10) + packages)
for name, script in {scripts}.items():
    program = pathlib.Path(sys.executable).with_name(name)
    program.write_text(script.replace("PYTHON", sys.executable))
    program.chmod(0o755)
END""",
}
COPY = "cp -a --no-preserve=ownership /opt/guestbook ."  # keeps the times that Python's compiled files name
# Steps that are alike in all guides: one guide has to do, because starting Python takes long. A visit makes
# a link of its own.
REPEATED = (".venv/bin/flask --app guestbook admin setup-link\n", ".venv/bin/flask --app guestbook status\n")
# The receiver of the tests is on this machine.
ALLOWED = "GUESTBOOK_ALLOW_NETWORKS=127.0.0.0/8\n"


class Host:
    """A machine whose owner follows a guide."""

    def __init__(self, machine: Machine, receiver: Receiver, owner: str, scheme: str = "http") -> None:
        self.machine, self.owner = machine, owner
        self.checkout = f"/home/{owner}/guestbook"
        self.programs = f"{self.checkout}/.venv/bin"
        self.port, self.behind = free_port(), f"127.0.0.1:{free_port()}"
        self.origin = f"{scheme}://127.0.0.1:{self.port}"
        self.cron_lines: list[str] = []
        self.setup_link = ""
        # Names and ports that a guide leaves to its reader, and ports that other tests use at the same time.
        self.replaced = {
            "https://example.org": self.origin,
            "https://you.pythonanywhere.com": self.origin,
            "your-site.example": "127.0.0.1",
            "https://ntfy.sh/my-guestbook": receiver.url("/"),
            "127.0.0.1:8080": self.behind,
            # pip comes with scripts/install, which is replaced.
            "-m venv .venv": "-m venv --without-pip .venv",
            **dict.fromkeys(REPEATED, ""),
        }
        self._prepare()

    def _prepare(self) -> None:
        """Write the programs of the table, and the folder that a person copies to the host."""
        scripts = {name: SCRIPT.format("PYTHON", *entry.split(":")) for name, entry in PROGRAMS.items()}
        scripts["pip"] = "#!/bin/sh\n[ $2 != --editable ] || exec share-packages $VIRTUAL_ENV\n"
        filled = {"base": sys.base_prefix, "packages": PACKAGES, "scripts": str(scripts)}
        for name, text in REPLACED_PROGRAMS.items():
            for mark, value in filled.items():
                text = text.replace(f"{{{mark}}}", value)
            self.write(f"/usr/local/bin/{name}", f"#!/bin/sh\n{text}\n")
        copy = self.machine.root / "opt/guestbook"
        unfinished = shutil.ignore_patterns("*.pyc.*")  # other tests compile at the same time
        for name in ("guestbook", "deploy"):
            shutil.copytree(ROOT / name, copy / name, ignore=unfinished)
        for name in ("schema.sql", "setup.cfg"):
            shutil.copy2(ROOT / name, copy)
        self.write("/opt/guestbook/scripts/install", "#!/bin/sh\nshare-packages .venv\n")
        self.machine.type(f"""cp /bin/bash /usr/local/bin/as-root; chmod 4755 /usr/local/bin/as-root
            sed -i 's/127.0.0.1:8080/{self.behind}/; s/listen 80;/listen 127.0.0.1:{self.port};/' \\
                $(find /opt/guestbook/deploy -type f)
            rm -f /etc/nginx/sites-enabled/default""")

    def write(self, path: str, text: str) -> None:
        """Write a file of the machine, which all may run."""
        file = self.machine.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def apache(self, modules: str, site: str = "") -> None:
        """Set up Apache as the host has it, at the port of this test."""
        self.write("/etc/apache2/ports.conf", f"Listen 127.0.0.1:{self.port}\n")
        self.write("/etc/apache2/conf-enabled/host.conf", f"ServerName 127.0.0.1\n{site}")
        self.machine.type(f"a2dissite -q 000-default; a2enmod -q {modules}; systemctl restart apache2")

    def follow(self, page: str, *, copy: str = COPY, before: str = "") -> None:
        """Type the steps of a guide, and some lines before them."""
        self.machine.type(before + "".join(self._typed(step, copy) for step in guide.steps(page)))

    def follow_as_owner(self, page: str, *, copy: str = COPY, before: str = "") -> None:
        """Do the same as the owner, who is not root."""
        self.machine.type(f"useradd --create-home {self.owner}")
        self.follow(page, copy=copy, before=f"runuser -l {self.owner} -s /bin/bash\nset -e\n{before}")

    def _typed(self, step: guide.Step, copy: str) -> str:
        if step.language == guide.COPY:
            return f"{copy}\n"
        text = step.text
        if step.language == "crontab":
            self.cron_lines += text.replace("/path/to/guestbook/.venv/bin", self.programs).splitlines()
            return ""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        if step.language == "ini":
            return f"cat >instance/.env <<'END'\n{text}{ALLOWED}END\n"
        return re.sub(r"(?m)^(sudo -iu .*)$", r"\1\nset -e", text) if step.language == "sh" else ""

    def cron(self) -> None:
        """Run the first line as cron does; it prints nothing."""
        line = re.sub(r"^(\S+ ){5}(?=/)", "", self.cron_lines[0])
        environ = f"env -i PATH=/usr/bin:/bin HOME=/home/{self.owner}"
        assert (
            self.machine.type(f"cd /home/{self.owner}; runuser -u {self.owner} -- {environ} sh -c '{line}'")
            == ""
        )

    def connect(self) -> Connection:
        """Read a copy of the database: root would leave files beside it that its owner cannot write."""
        with TemporaryDirectory() as folder:
            for path in self._data.glob("guestbook.db*"):
                shutil.copy(path, folder)
            engine = create_engine(f"sqlite:///{folder}/guestbook.db")
            connection = engine.connect()
            connection.exec_driver_sql("SELECT 1 FROM comments")
            return connection

    @property
    def _data(self) -> Path:
        return self.machine.root / self.checkout.lstrip("/") / "instance"

    def installed(self) -> Installed:
        """Give what a visit needs, by three commands in one process: starting Python takes long."""
        calls = ("tokens add Test --json", "sources add Chat --verify none --json", "admin setup-link")
        self.write("/opt/ask.py", ASK)
        script = f"runuser -u {self.owner} -- {self.programs}/python /opt/ask.py {shlex.join(calls)}"
        token, source, link = self.machine.type(f"cd {self.checkout}; {script}").split("\0")
        self.setup_link = link.strip()
        hook = "/hooks" + urlsplit(json.loads(source)["url"]).path.partition("/hooks")[2]
        return Installed(
            (self._data / KEY_FILE).read_text().strip(),
            self.connect,
            self.cron,
            json.loads(token)["token"],
            hook,
        )


ASK = """import sys
from guestbook import create_app
ask = create_app().test_cli_runner().invoke
print(*(ask(args=call.split()).output for call in sys.argv[1:]), sep=chr(0), end="")
"""
