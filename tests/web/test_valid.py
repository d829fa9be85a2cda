"""Every page is valid to the Nu validator, where Java and it can be had."""

import json
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from tests.support.owner import Owner
from tests.support.receiver import Receiver
from tests.system.browser import sample
from tests.system.interop import npm

SETTINGS = ["--stdout", "--format", "json", "--skip-non-html"]
FRUGAL = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss8m"]  # it ends before a better compiler pays


@pytest.mark.needs("validator")
def test_every_page_is_valid(app: Flask, receiver: Receiver, tmp_path: Path) -> None:
    validator = npm.validator()
    assert validator
    rows = sample.fill(app, receiver)
    owner = Owner(app)
    seen = {"login": owner.get("/admin/login")}
    assert owner.log_in().status_code == 303
    first = {name: values[0] for name, values in rows.items()}
    more = (address.format(**first) for address in sample.RECEIVER_PAGES)
    seen |= {address: owner.get(address) for address in (*sample.addresses(app, rows), *more)}
    pages = {}
    for number, (address, answer) in enumerate(seen.items()):
        if answer.content_type.startswith("text/html"):
            pages[f"{number}.html"] = address
            (tmp_path / f"{number}.html").write_bytes(answer.data)
    assert len(pages) > 40
    done = subprocess.run(
        ["java", *FRUGAL, "-jar", validator, *SETTINGS, tmp_path], capture_output=True, text=True, check=False
    )
    said = {
        f"{message['message']} {pages[Path(message['url']).name]} {message.get('extract', '')[:150]!r}"
        for message in json.loads(done.stdout)["messages"]
        if message["type"] == "error"
    }
    assert not said, "\n".join(sorted(said))
