"""Cut the power at each moment of what a book does, and open what the disk may hold then.

`scripts/proof power --images N --seed S` traces the scenarios of proof/power_scenarios.py with strace, and
opens N disks. Nothing that was promised before the cut may be missing. On each 25th disk the whole program
goes on, and the power is cut again meanwhile. Each twin of the program, with one line changed, must lose
something. It gets as many disks as its scenario, and more if these were too few. Exits with 1 otherwise.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from random import Random
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory

import click

from guestbook.lib.encryption import CannotDecrypt
from guestbook.settings import SettingsError, load
from guestbook.storage import backup, sqlite_file
from guestbook.storage.backup import DamagedFile
from proof import disk, power_scenarios
from proof.disk import DISK, LIVE, MAPPED_FILES, PROMISE, Choice, DiskCall, DiskFolder, Image
from proof.power_scenarios import AFTER, BEFORE, BOOK, DATABASE, FAULT, SCENARIOS, TWINS, Promise
from tests.support.processes import clean_environ
from tests.support.receiver import Receiver

ROOT = Path(__file__).parents[1]
EACH_AGAIN = 25  # The program goes on with one image in so many.
EACH_KILL = 10  # The same for those where nothing is lost yet, as after a kill.
IMAGES_AGAIN = 20  # of a second cut, for each of those
AT_ONCE = 40  # go on together
IMAGES_OF_TWIN = 500  # With fewer of them, chance may spare a twin.
# Cuts after a promise come first, then those after what makes something safe. Those after writes come last.
RANKS = defaultdict(
    lambda: 2, {PROMISE: 0, "fsync": 1, "fdatasync": 1, "syncfs": 1, "write": 3, "pwrite64": 3}
)
SAME = (0, 0, 2, 3)  # By rank, so many of the extremes would leave the same as at an earlier cut.
ALL = Choice(Random(), data=1, names=1)
Cut = tuple[str, Image, Promise, DiskFolder | None]  # with the journal mode, and the disk after a mere kill


@dataclass(slots=True)
class Recording:
    """What a book did, and what came of the disks."""

    name: str
    folder: Path
    calls: list[DiskCall]
    begin: DiskFolder | None = None  # the disk, if not all of it was safe
    images: int = 0
    lost: list[str] = field(default_factory=list)
    opened: set[bytes] = field(default_factory=set)  # An image is opened once.

    def plan(self, images: int, seed: int) -> Counter[int]:
        """Spread so many images over the cuts, in the order of their ranks."""
        random, now = Random(f"{seed} cuts of {self.name}"), self._disk()
        most, ranks = {}, {}
        for number, call in enumerate(self.calls, 1):
            now.apply(call)
            most[number] = 2 ** min(now.unsynced(), 20)
            ranks[number] = RANKS[call.name]
        cuts, shares = sorted(ranks, key=lambda cut: (ranks[cut], random.random())), Counter[int]()
        for turn in count():
            these = [cut for cut in cuts if ranks[cut] <= turn and shares[cut] < most[cut]]
            shares.update(these[: images - shares.total()])
            if shares.total() == images or not (these or turn < max(RANKS.values())):
                break
        return shares

    def at(self, cuts: Counter[int]) -> Iterator[tuple[int, DiskFolder, list[Promise]]]:
        """Yield for each cut its number, the disk, and the promises of which one must hold."""
        now, given = self._disk(), 0
        promises = [json.loads(call.data) for call in self.calls if call.name == PROMISE]
        for number, call in enumerate(self.calls, 1):
            now.apply(call)
            given += call.name == PROMISE
            if cuts[number]:
                more = [one for one in promises[given : given + 1] if power_scenarios.INSTEAD in one]
                yield number, now, [promises[given - 1], *more]

    def _disk(self) -> DiskFolder:
        return deepcopy(self.begin) or DiskFolder.of(self.folder / BEFORE)

    def check(self) -> None:
        """Raise RuntimeError if the trace does not lead to what is on the disk: then a call was missed."""
        if (fault := self.folder / FAULT).exists():
            raise RuntimeError(f"{self.name}: {fault.read_text()}")
        *_, (_, now, _) = self.at(Counter([len(self.calls)]))
        traced, found = now.left(ALL), DiskFolder.of(self.folder / DISK).left(ALL)
        wrong = [name for name in traced.keys() | found.keys() if traced.get(name, 0) != found.get(name, 0)]
        if wrong := [name for name in wrong if not name.endswith(MAPPED_FILES)]:
            raise RuntimeError(f"{self.name}: the trace differs from the disk in {', '.join(wrong)}")

    def open_images(self, images: int, seed: int, journal: str) -> Iterator[Cut | None]:
        """Open so many images; yield for each different one what is left, or None if something is lost."""
        random, place = Random(f"{seed} {self.name}"), self.folder.parent / LIVE / DISK
        cuts = self.plan(images, seed)
        for number, now, promises in self.at(cuts):
            same = SAME[RANKS[self.calls[number - 1].name]]
            for choice in islice(disk.choices(random), same, same + cuts[number]):
                image = now.left(choice)
                key = hashlib.blake2b(json.dumps(promises).encode())
                for name, content in image.items():
                    key.update(f"{name}\0{content and len(content)}\0".encode() + (content or b""))
                self.images += 1
                if key.digest() not in self.opened:
                    self.opened.add(key.digest())
                    put(image, place)
                    faults = [lost(place, journal, promise) for promise in promises]
                    self.lost += [] if None in faults else [str(faults[0])]
                    was_kill = now if choice.names == 1 and image == now.left(ALL) else None
                    yield (journal, image, promises[faults.index(None)], was_kill) if None in faults else None

    def add(self, other: "Recording") -> None:
        """Count another recording's images here."""
        self.calls, self.images = self.calls + other.calls, self.images + other.images
        self.lost, self.opened = self.lost + other.lost, self.opened | other.opened

    def say(self) -> None:
        """Print how many images there were, and what was lost."""
        print(f"{self.name}: {self.images:,} images ({len(self.opened):,} different)", end=" ")
        print(f"at {len(self.calls):,} cuts, {len(self.lost):,} lost", flush=True)
        for why, times in Counter(self.lost).most_common(5):
            print(f"    {times:,} times {why}")


Recorder = Callable[[dict[str, str]], list[Recording]]  # folders, each with a scenario's name or none


@contextmanager
def recorder(folder: Path, receiver: str) -> Iterator[Recorder]:
    """Start what lets books do something on traced disks, and give a function that asks for it."""
    log = folder / "trace"
    command = [*disk.STRACE, "-o", str(log), sys.executable, "-m", "proof.power_scenarios", str(folder)]
    environ = clean_environ(**{power_scenarios.RECEIVER: receiver})
    with Popen(command, env=environ, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        orders, answers = process.stdin, process.stdout
        assert orders is not None and answers is not None  # noqa: PT018  # they are pipes

        def record(names: dict[str, str]) -> list[Recording]:
            shutil.rmtree(folder / LIVE, ignore_errors=True)
            print(json.dumps(names), file=orders, flush=True)
            if not answers.readline():
                raise RuntimeError("the program that is traced has ended; its words stand above")
            found = zip(names.items(), disk.read_trace(log, folder), strict=True)
            os.truncate(log, 0)
            return [Recording(name or place, folder / place, calls) for (place, name), calls in found]

        yield record


def put(image: Image, place: Path) -> None:
    """Put the files of an image into a folder, in place of others."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, content in image.items():
        if content is None:
            (place / name).mkdir(0o700)
        else:
            (place / name).write_bytes(content)


def lost(place: Path, journal: str, promise: Promise) -> str | None:
    """Open the book on a disk as the program does; say what of the promise is missing, or None."""
    path = place / BOOK / promise.get(power_scenarios.FILE, DATABASE)
    try:
        if not path.is_file():
            return "the database is missing" if promise else None
        keyring = load(power_scenarios.environ_of(place, journal), alone=True).keyring
        with closing(sqlite3.connect(path)) as book:
            sqlite_file.set_pragmas(book, journal, 0)
            (said,) = book.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                return f"damage: {said}"
            found = power_scenarios.contents(book, keyring) if promise else {}
        if missing := [name for name, rows in found.items() if set(promise[name]) - set(rows)]:
            return f"missing: {', '.join(missing)}"
        if set(promise.get(power_scenarios.GONE, ())) & set(found.get("comments", ())):
            return "a deleted comment is back"
        return _lost_copy(place, *promise.get(power_scenarios.COPY, ("", "")))
    except (SettingsError, CannotDecrypt, sqlite3.Error, OSError, DamagedFile) as error:
        return f"cannot be opened: {error!r}"


def _lost_copy(place: Path, names: str, text: str) -> str | None:
    """Verify backups as a restore would; one of the files must have the text."""
    for path in place.glob(names) if names else ():
        if is_backup := path.suffix == ".db":
            backup.verify(path, path)
            with closing(sqlite3.connect(path)) as copy:
                found = copy.execute("SELECT 1 FROM comments WHERE message = ?", (text,)).fetchone()
        if found if is_backup else text in path.read_text():
            return None
    return f"no file {names} has {text!r}" if names else None


def run(images: int, seed: int, record: Recorder) -> bool:
    """Open so many disks and print what was lost; return whether nothing was, and each twin was caught."""
    began, number, chosen = time.monotonic(), Counter[bool](), list[Cut]()
    found = record({str(number): name for number, name in enumerate((*SCENARIOS, *TWINS))})
    for one in found:
        one.check()
    scenarios, twins = found[: len(SCENARIOS)], found[len(SCENARIOS) :]
    sizes = {one.name: (images + turn) // len(SCENARIOS) for turn, one in enumerate(scenarios)}
    for one in scenarios:
        cuts = one.open_images(sizes[one.name], seed, SCENARIOS[one.name][1])
        for journal, image, promise, now in filter(None, cuts):
            number[bool(now)] += 1
            if number[bool(now)] % (EACH_KILL if now else EACH_AGAIN) == 1:
                chosen.append((journal, image, promise, deepcopy(now)))
        one.say()
    again = cut_again(chosen, seed, scenarios[0].folder.parent, record)
    again.say()
    for twin in twins:
        catch(twin, sizes[TWINS[twin.name][1]], seed)
        print(f"twin {twin.name}: {f'caught ({twin.lost[0]})' if twin.lost else 'SURVIVED'}", flush=True)
    total = sum(one.images for one in (*scenarios, again))
    opened = sum(len(one.opened) for one in (*scenarios, again))
    print(f"{total:,} images ({opened:,} different), seed {seed}, in {time.monotonic() - began:.0f} seconds")
    return not any(one.lost for one in (*scenarios, again)) and all(twin.lost for twin in twins)


def catch(twin: Recording, images: int, seed: int) -> None:
    """Open so many disks of a twin, and then twice as many, until something is lost."""
    journal = SCENARIOS[TWINS[twin.name][1]][1]
    while None not in twin.open_images(images, seed, journal) and images < IMAGES_OF_TWIN:
        images = max(1, 2 * images)


def cut_again(chosen: list[Cut], seed: int, folder: Path, record: Recorder) -> Recording:
    """Go on with these images, and cut the power again meanwhile; return the sum."""
    found = Recording(f"a second cut, after each of {len(chosen):,} images", folder, [])
    for begin in range(0, len(chosen), AT_ONCE):
        cuts = {f"again-{number}": cut for number, cut in enumerate(chosen[begin : begin + AT_ONCE], begin)}
        for name, (journal, image, promise, _) in cuts.items():
            put(image, folder / name / BEFORE)
            (folder / name / AFTER).write_text(json.dumps([journal, promise]))
        for one in record(dict.fromkeys(cuts, "")):
            one.begin = cuts[one.name][3]
            if (fault := one.folder / FAULT).exists():
                found.lost.append(f"the whole program: {fault.read_text()}")
            else:
                one.check()
                list(one.open_images(IMAGES_AGAIN, seed, cuts[one.name][0]))
            found.add(one)
            shutil.rmtree(one.folder)
    return found


@click.command()
@click.option(
    "--images",
    type=click.IntRange(min=len(SCENARIOS)),
    default=10_000,
    show_default=True,
    help="So many disks, of all scenarios together.",
)
@click.option("--seed", default=1, show_default=True, help="Draws what is lost at each cut.")
def power(images: int, seed: int) -> None:
    """Cut the power at each moment of what a book does, and open the disks that are left."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # there no image waits for a real disk
    with (
        TemporaryDirectory(dir=memory) as name,
        Receiver() as receiver,
        recorder(Path(name).resolve(), receiver.url("/")) as record,
    ):
        is_proved = run(images, seed, record)
    sys.exit(0 if is_proved else 1)
