"""Which browser and web servers are here, and the Python and packages of Debian that Apache's modules use."""

import functools
import importlib.util
import shutil
import subprocess
from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
MODULES = "/usr/lib/apache2/modules"
# Of what setup.cfg names, all that serving a book needs.
PACKAGES = "flask, flask_babel, flask_sqlalchemy, flask_wtf, requests, waitress, dotenv, wcwidth"


def chromium() -> str | None:
    """Return the program; the one without a window takes a third less time."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def apache_has(module: str) -> bool:
    """Whether Apache, that module and Debian's packages of Python are here."""
    is_here = shutil.which("apache2") is not None and Path(MODULES, f"mod_{module}.so").exists()
    return is_here and _debian_has_packages()


def has_uwsgi() -> bool:
    """Whether uWSGI is installed in the Python of the tests."""
    return importlib.util.find_spec("pyuwsgi") is not None


@functools.cache
def _debian_has_packages() -> bool:
    if not Path(DEBIAN_PYTHON).exists():
        return False
    asked = [DEBIAN_PYTHON, "-c", f"import ensurepip, venv, {PACKAGES}"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0
