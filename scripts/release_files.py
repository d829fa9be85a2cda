"""Build the files of a release from a copy of the tree. `scripts/release` starts it.

The packages in guestbook.pyz are those of this Python, without what is compiled for one kind of machine.
SOURCE_DATE_EPOCH is the time of all files (https://reproducible-builds.org/specs/source-date-epoch/).
"""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from guestbook.lib import VERSION
from guestbook.storage.preferences import BOOK_LANGUAGES

Files = Mapping[str, bytes]  # by their path in an archive

SETUPTOOLS = """
import sys
from setuptools import build_meta
to = sys.argv[1]  # which setuptools changes
build_meta.build_wheel(to)
build_meta.build_sdist(to)
"""
LOCKED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
DIST_INFO = f"guestbook-{VERSION}.dist-info"
SBOM = f"{DIST_INFO}/sboms/guestbook.cdx.json"  # PEP 770
BUILD_TOOLS = {"setuptools"}  # locked too, but not part of the program
COMPILED = {"cffi", "cryptography", "pycparser"}  # guestbook.pyz takes the system's, if there are any
NOT_NEEDED = re.compile(
    r"\.(so|pyc|pyi|pxd|c|h|po|pot|1)$"  # compiled or a source of that, types, a manual page
    r"|\.dist-info/(RECORD|WHEEL|INSTALLER|REQUESTED|direct_url\.json|top_level\.txt)$"  # of one installation
    r"|^pytz/zoneinfo/"  # Flask-Babel asks pytz only for UTC; tzdata has the others
    r"|^(sqlalchemy|alembic)/testing/"
    rf"|^babel/locale-data/(?!(root|{'|'.join(BOOK_LANGUAGES)})\.dat)"
    r"|^(\.\./|/)"  # programs
)


def main() -> None:
    """Build from the tree of the first argument into the folder of the second."""
    tree, to = map(Path, sys.argv[1:])
    locked = _locked(tree).items()
    if wrong := [f"{name} {version}" for name, version in locked if _version(name) != version]:
        sys.exit(f"Error: .venv lacks what requirements.txt locks: {', '.join(wrong)}. Make .venv again.")
    build(tree, to)


def build(tree: Path, to: Path) -> None:
    """Write the wheel, the source archive, guestbook.pyz alone and in a zip, and a new SHA256SUMS."""
    names = sorted(_locked(tree).keys() - BUILD_TOOLS)
    to.mkdir(exist_ok=True)
    command = [sys.executable, "-c", SETUPTOOLS, str(to.resolve())]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    wheel_name, sdist_name = f"guestbook-{VERSION}-py3-none-any.whl", f"guestbook-{VERSION}.tar.gz"
    with zipfile.ZipFile(to / wheel_name) as archive:
        unzipped = {name: archive.read(name) for name in archive.namelist()}
    wheel = _with_sbom(unzipped, sbom(names))
    made = {
        wheel_name: zipped(wheel),
        sdist_name: _plain_sdist(to / sdist_name),
        "guestbook.pyz": one_file((tree / "deploy/one-file/main.py").read_text(), wheel, names),
    }
    made["guestbook-ftp.zip"] = _ftp_zip(tree / "deploy", made["guestbook.pyz"])
    for name, content in made.items():
        (to / name).write_bytes(content)
    (to / "guestbook.pyz").chmod(0o755)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(made.items())]
    (to / "SHA256SUMS").write_text("".join(sums))


def _locked(tree: Path) -> dict[str, str]:
    return dict(LOCKED.findall((tree / "requirements.txt").read_text()))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _epoch() -> int:
    return int(os.environ["SOURCE_DATE_EPOCH"])


def sbom(names: list[str]) -> bytes:
    """Return the packages that the program needs, as CycloneDX 1.6 (ECMA-424)."""
    components: list[dict[str, object]] = []
    for name in names:
        distribution = metadata.distribution(name)
        one: dict[str, object] = {"type": "library", "name": name, "version": distribution.version}
        one["bom-ref"] = one["purl"] = f"pkg:pypi/{name}@{distribution.version}"
        one["scope"] = "optional" if name in COMPILED else "required"
        if licence := distribution.metadata.json.get("license_expression"):
            one["licenses"] = [{"expression": licence}]
        components.append(one)
    own = f"pkg:pypi/guestbook@{VERSION}"
    about = {"type": "application", "name": "guestbook", "version": VERSION, "bom-ref": own}
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_epoch()))
    document = {
        **{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1},
        "metadata": {"timestamp": when, "component": about},
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(document, indent=1).encode()


def _with_sbom(wheel: Files, document: bytes) -> Files:
    digest = base64.urlsafe_b64encode(hashlib.sha256(document).digest()).rstrip(b"=").decode()
    record = f"{DIST_INFO}/RECORD"
    line = f"{SBOM},sha256={digest},{len(document)}\n"
    return {**wheel, SBOM: document, record: wheel[record] + line.encode()}


def one_file(start: str, wheel: Files, names: list[str]) -> bytes:
    """Return guestbook.pyz: a program that unpacks the archive beside it, in the form of `zipapp`."""
    files = {name: content for name, content in wheel.items() if not NOT_NEEDED.search(name)}
    for name in sorted(set(names) - COMPILED):
        for path in metadata.files(name) or ():
            if not NOT_NEEDED.search(str(path)):
                files[str(path)] = path.read_binary()
    # Each start reads the list of the outer archive: it is short. The inner one is compressed as a whole.
    packages = zipped(files, zipfile.ZIP_STORED)
    digest = hashlib.sha256(packages).hexdigest()[:16]
    main_file = start.replace('DIGEST = ""', f'DIGEST = "{digest}"')
    assert main_file != start
    return b"#!/usr/bin/env python3\n" + zipped({"__main__.py": main_file.encode(), "packages.zip": packages})


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive with the same bytes for the same files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method, compresslevel=9) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, time.gmtime(_epoch())[:6])
            info.external_attr, info.compress_type = 0o100644 << 16, method
            archive.writestr(info, content)
    return made.getvalue()


def _ftp_zip(deploy: Path, program: bytes) -> bytes:
    """Return the files of the guide for hosts with FTP and a panel only, each in its folder."""
    names = (
        "ftp/guestbook/.htaccess",
        "cgi/.htaccess",
        "ftp/cgi/index.cgi",
        "ftp/passenger/passenger_wsgi.py",
    )
    files = {name.removeprefix("ftp/"): (deploy / name).read_bytes() for name in names}
    return zipped({"guestbook/guestbook.pyz": program, **files})


def _plain_sdist(path: Path) -> bytes:
    """Return a source archive with neither this user, nor this umask, nor this moment."""
    made = io.BytesIO()
    with (
        tarfile.open(path) as built,
        gzip.GzipFile("", "wb", 9, made, _epoch()) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for member in built.getmembers():
            member.mtime, member.uid, member.gid, member.uname, member.gname = _epoch(), 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            archive.addfile(member, built.extractfile(member) if member.isreg() else None)
    return made.getvalue()


if __name__ == "__main__":
    main()
