"""`scripts/proof kills` at a small size: each command dies, and each twin is caught."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT, clean_environ


def test_a_round_loses_nothing_is_kept_and_each_twin_is_caught(tmp_path: Path) -> None:
    file = tmp_path / "rounds"
    command = [sys.executable, "-m", "proof", "kills", "--mode", "sqlite-wal", "--kills", "5"]
    command += ["--resume", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [one] = json.loads(file.read_text())
    assert set(one["kills"]) == {"pass", "backup", "restore", "import", "upgrade", "encrypt-secrets"}
    assert one["requests"] > 0
    assert len(re.findall(r"^twin .+: caught", done.stdout, re.MULTILINE)) == 3, done.stdout
