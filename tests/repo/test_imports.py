"""Imports point down: nobody needs to know what stands above."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "guestbook"

# From the top down. A room, which is a file or a folder, imports from itself and from the floors below; the
# rooms of one floor do not know each other.
FLOORS = (
    ("worker",),
    ("__init__",),
    ("web", "cli"),
    ("background",),
    ("inbound",),
    ("comments",),
    ("outbound",),
    ("queue", "queries", "auth"),
    ("storage",),
    ("transport", "settings"),
    ("lib",),
)
ROOMS = {name for rooms in FLOORS for name in rooms}
PURE = (
    "comments.comment_form",
    "comments.spam.spam_rules",
    "inbound.verify_and_decide",
    "lib",
    "outbound.event_catalogue",
    "outbound.formats",
    "outbound.response_policy",
    "outbound.signature_explanation",
)
HEAVY = ("flask", "flask_sqlalchemy", "sqlalchemy", "requests", "urllib3", "click")


def room(module: str) -> str:
    """`guestbook.cli.output` → `cli`; the package itself is `__init__`."""
    return module.split(".")[1] if "." in module else "__init__"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imports(source: str, package: str = "guestbook") -> Iterator[str]:
    """The dotted names that a file imports, as deep as a module of ours goes; conditional ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            if node.module == package:
                yield from (f"{package}.{name}" if name in ROOMS else package for name in names(node))
            else:
                yield node.module


def names(node: ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names]


def faults(files: Mapping[str, str]) -> list[str]:
    """What is wrong in files given as module name → source."""
    return [
        f"{module} imports {name}"
        for module, source in files.items()
        for name in imports(source)
        if name.partition(".")[0] == "guestbook" and not allowed(room(module), room(name))
    ]


def allowed(upper: str, lower: str) -> bool:
    return floor(upper) < floor(lower) or upper == lower


def sources() -> dict[str, str]:
    return {dotted(path): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_room_is_on_one_floor_and_every_floor_has_rooms() -> None:
    files = [path.stem for path in PACKAGE.glob("*.py")]
    folders = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    assert sorted(name for rooms in FLOORS for name in rooms) == sorted(files + folders)


def test_imports_point_down() -> None:
    assert faults(sources()) == []


LATE = "def late():\n    from guestbook.outbound.delivery_dispatcher import Dispatch"
ASIDE = "from guestbook.queries import listing"  # on its own floor


@pytest.mark.parametrize("source", ["from guestbook.background import cron", "import guestbook", LATE, ASIDE])
def test_an_import_that_points_up_or_aside_is_seen(source: str) -> None:
    assert faults({"guestbook.queue.claims": source})


def test_the_admin_pages_and_the_api_do_not_know_each_other() -> None:
    admin, api = "guestbook.web.admin", "guestbook.web.api"
    for mine, other in ((admin, api), (api, admin)):
        ours = [source for module, source in sources().items() if module.startswith(mine)]
        assert not [name for source in ours for name in imports(source) if name.startswith(other)]


def roots_of(name: str) -> set[str]:
    """The packages that a module, or all modules of a folder, import from."""
    whole = f"guestbook.{name}"
    mine = [source for module, source in sources().items() if f"{module}.".startswith(f"{whole}.")]
    assert mine
    return {imported.partition(".")[0] for source in mine for imported in imports(source)}


@pytest.mark.parametrize("name", PURE)
def test_what_is_called_pure_imports_no_framework(name: str) -> None:
    assert not roots_of(name) & set(HEAVY)


def test_the_transport_knows_neither_flask_nor_the_database() -> None:
    roots = roots_of("transport")
    assert "urllib3" in roots
    assert not roots & {"flask", "flask_sqlalchemy", "sqlalchemy"}


def test_only_an_upgrade_needs_alembic() -> None:
    """A page or a pass reads the version without it: it makes a start slower."""
    needing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(name.partition(".")[0] == "alembic" for name in imports(path.read_text()))
    }
    assert needing == {"storage/upgrade.py", "storage/migrations/steps.py"}
