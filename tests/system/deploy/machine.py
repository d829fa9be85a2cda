"""A Debian machine of a test's own: it sees this one's files and changes copies, and systemd runs it.

It has mounts, processes, a hostname and control groups of its own. The network is that of the tests.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import processes
from tests.support.processes import Started, wait_for

SYSTEMD = "/lib/systemd/systemd"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc")
PACKAGES = "/opt/packages"  # There are this Python's, wherever its virtual environment lies here.
# Its folders for users, sites and temporary files are empty, whatever lies there on this one, such as the
# checkout. It starts none of the services that this machine starts. Python's folder may be root's alone here.
# At the end of a login, Debian's shell clears the screen, and fails without one.
BOOT = """set -eu
root=$1/root python=$2 packages=$3 place=.$4
mount -t tmpfs -o mode=755 tmpfs "${root%/root}"
cd "${root%/root}"; mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
for folder in home opt run srv; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mount -t tmpfs -o mode=1777 tmpfs tmp
[ -e ".$python/lib" ] || { mkdir -p ".$python"; mount --bind "$python" ".$python"; }
while [ "$python" != / ]; do chmod o+rx ".$python"; python=$(dirname "$python"); done
mkdir "$place"
mount --bind "$packages" "$place"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
ln -s /proc/self/fd dev/fd
mkdir -m 1777 dev/shm
rm -rf etc/systemd/system/*.wants etc/apache2/mods-enabled/passenger.* etc/skel/.bash_logout
printf '[Unit]\\nDescription=The machine of a test\\n' >etc/systemd/system/test.target
exec env -i PATH=/usr/sbin:/usr/bin container=test chroot . """
BOOT += f"{SYSTEMD} --unit=test.target --show-status=no --log-target=console\n"


class Machine:
    """What is typed there; `root` is its file system, seen from here."""

    def __init__(self, program: Started) -> None:
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
        self._first = wait_for(children.read_text, 20, program.output).split()[0]
        self.root = Path(f"/proc/{self._first}/root")
        wait_for(lambda: (self.root / "run/systemd/private").exists(), 20, program.output)

    def type(self, text: str) -> str:
        """Let root's shell read lines, as from a keyboard; return what they print. A failure ends them."""
        enter = ["nsenter", "--target", self._first, *NAMESPACES, "--root", "--wdns=/root"]
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8"]
        command = [*enter, *clean, "bash", "-e", "-s"]
        done = subprocess.run(
            command,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@contextmanager
def machine() -> Iterator[Machine]:
    """Start a machine; at the end it is gone with all that it has changed."""
    with TemporaryDirectory(prefix="guestbook-machine-") as folder:
        command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", BOOT, "sh", folder]
        python = sys.base_prefix, sysconfig.get_path("purelib"), PACKAGES
        with processes.started([*command, *python]) as program:
            yield Machine(program)


@cache
def can_be_started() -> bool:
    """Whether this machine lets root make another with systemd in it."""
    programs = (
        all(shutil.which(name) for name in ("unshare", "nsenter", "runuser")) and Path(SYSTEMD).exists()
    )
    if not programs or os.geteuid() != 0:
        return False
    try:
        with machine() as one:
            return one.type("systemctl is-system-running") != ""
    except AssertionError:
        return False
