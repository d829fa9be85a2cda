"""Cut the power at each moment of what a book does, and open what the disk may hold then.

`python -m proof.power_cut --images N --seed S` records the scenarios of proof/power_scenarios.py with a
library that gcc compiles, and opens N disks. Nothing that was promised before the cut may be missing. Each
twin of the program, with one line changed, must lose something. Exits with 1 otherwise.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import click

from guestbook.background.doctor import State, examination
from guestbook.settings import SettingsError
from guestbook.storage import backup, sqlite_file
from guestbook.storage.backup import DamagedFile
from proof import disk, power_scenarios
from proof.disk import Choice, Disk, DiskCall
from proof.power_scenarios import BOOK, DATABASE, SCENARIOS, TWINS, RecordedBook

HERE = Path(__file__).parent
IN_MEMORY = Path("/dev/shm")  # opening a disk there waits for no real one
RECORD_TIMEOUT = 300  # seconds
EACH_WHOLE = 25  # one image in so many is opened by the whole program
AFTER_PROMISE = 4  # images, of which the first has lost all that was not synced
IMAGES_OF_TWIN = 6  # at each cut, until one loses something
EXPECTED = ("database", "tables", "secret key", "damage", "writing", "secrets", "keys")  # doctor's subjects

Promise = dict[str, Any]


def compiled(folder: Path) -> Path:
    """Compile the recorder."""
    library = folder / "record_disk.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(HERE / "record_disk.c"), "-ldl"], check=True)
    return library


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to each webhook."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of a request."""


@contextmanager
def receiver() -> Iterator[str]:
    """Run a receiver and give its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def record(folder: Path, names: list[str]) -> list["Recording"]:
    """Let books do what these scenarios and twins say, each on a disk that is recorded."""
    with receiver() as url:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GUESTBOOK_")}
        environ |= {"LD_PRELOAD": str(compiled(folder)), power_scenarios.RECEIVER: url}
        command = [sys.executable, "-m", "proof.power_scenarios", str(folder), *names]
        subprocess.run(command, check=True, env=environ, cwd=HERE.parent, timeout=RECORD_TIMEOUT)
    return [Recording(name, folder / str(number)) for number, name in enumerate(names)]


@dataclass(slots=True)
class Recording:
    """What a book did, and what came of the disks."""

    name: str
    folder: Path
    journal: str = field(init=False)
    calls: list[DiskCall] = field(init=False)
    images: int = 0
    lost: list[str] = field(default_factory=list)
    opened: set[bytes] = field(default_factory=set)  # An image is opened once.

    def __post_init__(self) -> None:
        self.journal = power_scenarios.scenario_of(self.name)[1]
        self.calls = list(disk.read_log(self.folder / "log"))

    @property
    def cuts(self) -> list[int]:
        """Return how many calls were done at each cut: after each promise and all that changed the disk."""
        return [number for number, call in enumerate(self.calls, 1) if call.kind != "X"]

    def shares(self, images: int, seed: int) -> dict[int, int]:
        """Spread so many images over the cuts; those right after a promise get some before all others."""
        promises = [number for number in self.cuts if self.calls[number - 1].kind == "P"]
        first = min(AFTER_PROMISE, images // len(promises))
        least, more = divmod(images - first * len(promises), len(self.cuts))
        extra = set(Random(f"{seed} cuts of {self.name}").sample(self.cuts, more))
        return {cut: first * (cut in promises) + least + (cut in extra) for cut in self.cuts}

    def at(self, cuts: dict[int, int]) -> Iterator[tuple[int, Disk, list[Promise]]]:
        """Yield at each cut the number of images, the disk, and the promises of which one must hold."""
        numbers = json.loads((self.folder / "numbers").read_text())
        now = Disk.of(self.folder / "before", numbers)
        promises = [json.loads(call.data) for call in self.calls if call.kind == "P"]
        given = 0
        for number, call in enumerate(self.calls, 1):
            now.apply(call)
            given += call.kind == "P"
            if count := cuts.get(number, 0):
                more = [one for one in promises[given : given + 1] if "instead" in one]
                yield count, now, [promises[given - 1], *more]

    def check(self) -> None:
        """Raise RuntimeError if the record does not lead to what is on the disk: then a call was missed."""
        *_, (_, now, _) = self.at({len(self.calls): 1})
        found = now.left(Choice(Random(), data=1, names=1))
        root = self.folder / "disk"
        there = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
        same = {
            one
            for one in there
            if found.get(one) == (None if there[one].is_dir() else there[one].read_bytes())
        }
        if wrong := [
            one for one in (found.keys() | there.keys()) - same if not one.endswith(disk.MAPPED_FILES)
        ]:
            raise RuntimeError(f"{self.name}: the record differs from the disk in {', '.join(wrong)}")

    def open_images(self, cuts: dict[int, int], seed: int, place: Path, *, until_lost: bool = False) -> None:
        """Open so many images at each of the cuts."""
        random = Random(f"{seed} {self.name}")
        for count, now, promises in self.at(cuts):
            for choice in islice(disk.choices(random), count):
                image = now.left(choice)
                self.images += 1
                key = _hash(image, promises)
                if key in self.opened:
                    continue
                self.opened.add(key)
                put(image, place)
                is_whole = not until_lost and len(self.opened) % EACH_WHOLE == 1
                if why := self._lost(place, promises, is_whole=is_whole):
                    self.lost.append(why)
                    if until_lost:
                        return

    def _lost(self, place: Path, promises: list[Promise], *, is_whole: bool) -> str | None:
        for promise in promises:
            why = lost(place, self.journal, promise)
            if why is None:
                return whole_fault(place, self.journal, promise) if is_whole else None
        return why


def _hash(image: dict[str, bytes | None], promises: list[Promise]) -> bytes:
    found = hashlib.blake2b(json.dumps(promises).encode())
    for name, content in image.items():
        found.update(f"{name}\0{-1 if content is None else len(content)}\0".encode() + (content or b""))
    return found.digest()


def put(image: dict[str, bytes | None], place: Path) -> None:
    """Put the files of an image into a folder, in place of others."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in image.items():
        if content is None:
            (place / name).mkdir(0o700)
        else:
            (place / name).write_bytes(content)


def lost(place: Path, journal: str, promise: Promise) -> str | None:
    """Open the book on a disk as the program does; say what of the promise is missing, or None."""
    path = place / BOOK / DATABASE
    try:
        if promise and not path.is_file():
            return "the database is missing"
        if not path.is_file():
            return None
        keyring = power_scenarios.settings_of(place, journal).keyring
        with closing(sqlite3.connect(path)) as book:
            sqlite_file.set_pragmas(book, journal, 0)
            (said,) = book.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                return f"damage: {said}"
            found = power_scenarios.contents(book, keyring) if promise else {}
        missing = [name for name, rows in found.items() if set(promise[name]) - set(rows)]
        if missing:
            return f"missing: {', '.join(missing)}"
        return _lost_backup(place, promise["backup"]) if "backup" in promise else None
    except (SettingsError, sqlite3.Error, OSError, DamagedFile) as error:
        return f"cannot be opened: {error!r}"


def _lost_backup(place: Path, promised: list[str]) -> str | None:
    """Verify the backups as a restore would; one of them must hold the comment."""
    names, message = promised
    for path in (place / BOOK).glob(names):
        backup.verify(path, path)
        with closing(sqlite3.connect(path)) as copy:
            if copy.execute("SELECT 1 FROM comments WHERE message = ?", (message,)).fetchone():
                return None
    return f"no backup holds {message!r}"


def whole_fault(place: Path, journal: str, promise: Promise) -> str | None:
    """Go on with the book as its owner would, in a child: start, upgrade, sign, ask doctor."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, (_fault_of_start(place, journal, promise) or "").encode()[:4096])
        except BaseException as error:
            os.write(writer, repr(error).encode()[:4096])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return f"the whole program: {said}" if said else None


def _fault_of_start(place: Path, journal: str, promise: Promise) -> str | None:
    book = object.__new__(RecordedBook)
    book.environ = power_scenarios.environ_of(place, journal)
    book.start()
    book.run("upgrade" if promise else "init-db")
    book.sign("after the cut")
    settings = book.app.config["GUESTBOOK"]
    faults = [one for one in examination.examine(settings) if one.state is State.PROBLEM]
    return next((f"{one.subject}: {one.sentence}" for one in faults if one.subject in EXPECTED), None)


def run(images: int, seed: int) -> bool:
    """Open so many disks and print what was lost; return whether nothing was, and each twin was caught."""
    is_proved, began = True, time.monotonic()
    memory = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with TemporaryDirectory(dir=memory) as name:
        folder = Path(name).resolve()
        found = record(folder, [*SCENARIOS, *TWINS])
        place = folder / "cut"
        for one in found:
            one.check()
        shutil.copytree(found[0].folder / "disk", place)
        if fault := _fault_of_start(place, found[0].journal, {}):  # what this imports, each child has then
            raise RuntimeError(f"a book without a cut fails: {fault}")
        for number, one in enumerate(found[: len(SCENARIOS)]):
            part = images // len(SCENARIOS) + (number < images % len(SCENARIOS))
            one.open_images(one.shares(part, seed), seed, place)
            is_proved &= not one.lost
            print(f"{one.name}: {one.images:,} images ({len(one.opened):,} different)", end=" ")
            print(f"at {len(one.cuts):,} cuts, {len(one.lost):,} lost", flush=True)
            for why in sorted(set(one.lost))[:5]:
                print(f"    {one.lost.count(why):,} times {why}")
        for twin in found[len(SCENARIOS) :]:
            twin.open_images(dict.fromkeys(twin.cuts, IMAGES_OF_TWIN), seed, place, until_lost=True)
            is_proved &= bool(twin.lost)
            print(f"twin {twin.name}: {f'caught ({twin.lost[0]})' if twin.lost else 'SURVIVED'}", flush=True)
        total = sum(one.images for one in found[: len(SCENARIOS)])
        print(f"{total:,} images, seed {seed}, in {time.monotonic() - began:.0f} seconds")
    return is_proved


@click.command()
@click.option("--images", default=10_000, show_default=True, help="So many disks, of all scenarios together.")
@click.option("--seed", default=1, show_default=True, help="Draws what is lost at each cut.")
def power(images: int, seed: int) -> None:
    """Cut the power at each moment of what a book does, and open the disks that are left."""
    sys.exit(0 if run(images, seed) else 1)


if __name__ == "__main__":
    power(prog_name="python -m proof.power_cut")
