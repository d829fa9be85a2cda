"""`scripts/proof kills` at a small size: each command dies, and a twin is caught."""

import json
from pathlib import Path

import pytest

from proof import kills


@pytest.mark.timeout(200)
def test_a_round_loses_nothing_and_is_kept_and_a_twin_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kills, "TWINS", {"recorded_first": "lost: "})
    file = tmp_path / "rounds"
    is_proved = kills.run(2, 1, ("sqlite-wal",), file, tmp_path)
    said = capsys.readouterr().out
    assert is_proved, said
    assert "twin recorded_first: caught" in said
    [one] = json.loads(file.read_text())
    assert set(one["kills"]) == {"pass", "backup", "restore", "import", "upgrade", "encrypt-secrets"}
    assert one["requests"] > 0
