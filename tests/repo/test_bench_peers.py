"""`scripts/bench deliver --peers` finds the packages of peers on Node, and leaves no key in Redis."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.benchmarks.support import redis_keys
from scripts.benchmarks.support.peers import node
from scripts.benchmarks.support.processes import listens
from tests.conftest import need
from tests.support import processes

PROGRAMS = sorted(node.FOLDER.glob("*.mjs"))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of npm's with the packages that all peers on Node need."""
    need("node")
    monkeypatch.setenv("BENCH_NODE_MODULES", str(tmp_path))
    for name in node.SHARED:
        install(tmp_path, name)
    return tmp_path


def install(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "package.json").write_text(json.dumps({"version": "1.2.3"}))


def test_a_program_names_its_version_and_its_commands(packages: Path) -> None:
    install(packages, "bullmq")
    program = node.Program("bullmq.mjs", "bullmq")
    assert program.version == "bullmq 1.2.3"
    assert program.commands(2) == [["node", str(node.FOLDER / "bullmq.mjs"), "work"]] * 2


def test_a_program_whose_package_is_missing_cannot_be_imported(packages: Path) -> None:
    install(packages, "bullmq")
    with pytest.raises(ImportError, match="ioredis"):
        node.Program("bullmq.mjs", "bullmq", "ioredis")


def test_without_a_folder_of_packages_there_is_no_peer_on_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_NODE_MODULES", raising=False)
    with pytest.raises(ImportError):
        node.Program("bullmq.mjs", "bullmq")


@pytest.mark.needs("node")
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_node_can_read_each_program(path: Path) -> None:
    subprocess.run(["node", "--check", path], check=True)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="only a bench needs Redis")
def test_the_keys_of_a_bench_are_removed_and_no_others() -> None:
    port = processes.free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    url = f"redis://127.0.0.1:{port}"
    with processes.started(command) as server:
        processes.wait_for(lambda: listens(port), 30, server.output)
        make = "return redis.call('MSET', 'bull:bench_1:id', 1, 'bench_1', 1, 'bench_2', 1)"
        assert redis_keys.evaluate(url, make) == "OK"
        assert redis_keys.described(url).endswith(", appendonly no")
        assert redis_keys.remove(url, "bench_1") == 2
        assert redis_keys.remove(url, "bench") == 1
        with pytest.raises(ConnectionError, match="Redis: ERR"):
            redis_keys.evaluate(url, "no script")
