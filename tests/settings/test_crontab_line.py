"""The line for the crontab runs this very installation."""

import dataclasses
import subprocess
import sys
from pathlib import Path

from guestbook.settings import crontab_line, installation, load


def test_the_line_for_crontab_names_this_very_installation(tmp_path: Path) -> None:
    folder = tmp_path / "100 % mine"
    settings = load({"GUESTBOOK_DATA_DIR": str(folder)})
    line = crontab_line.of(settings)
    assert line.startswith("* * * * * GUESTBOOK_DATA_DIR='")
    assert line.endswith("/bin/flask --app guestbook cron")
    assert "100 \\% mine'" in line  # cron takes a bare % for the end of the command
    command = line.removeprefix("* * * * * ").replace("\\%", "%").replace(" cron", " init-db")
    bare = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={tmp_path}", "sh", "-c", command]
    assert subprocess.run(bare, cwd=tmp_path, timeout=60).returncode == 0
    assert (folder / "guestbook.db").exists()


def test_the_line_for_crontab_names_no_folder_where_the_default_holds(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        load({"GUESTBOOK_DATA_DIR": str(tmp_path)}), data_dir=installation.CHECKOUT / "instance"
    )
    assert crontab_line.of(settings) == f"* * * * * {sys.prefix}/bin/flask --app guestbook cron"
