"""Requests show how they reach the book. It is written once an hour, and only what doctor needs."""

from datetime import timedelta
from pathlib import Path

from flask import Flask

from guestbook.storage import hits_and_notes
from tests.conftest import running
from tests.support.visitor import Visitor


def seen(folder: Path) -> dict[str, str]:
    found = hits_and_notes.read_observations(folder, timedelta(minutes=1))
    return {name: fact.text for name, fact in found.items()}


def test_a_proxy_that_the_settings_do_not_know(app: Flask, tmp_path: Path) -> None:
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "real.example",
    }
    Visitor(app).get("/", base_url="http://127.0.0.1:8000", headers=headers)
    assert seen(tmp_path) == {
        hits_and_notes.OTHER_HOST: "https://real.example",
        hits_and_notes.HTTPS: "",
        hits_and_notes.BY_PROXY: "",
        f"{hits_and_notes.ADDRESSES}1": "",
    }


def test_behind_a_known_proxy_the_header_counts_as_it_came(environ: dict[str, str], tmp_path: Path) -> None:
    with running(environ | {"GUESTBOOK_TRUSTED_PROXIES": "1"}) as app:
        headers = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "X-Forwarded-Proto": "https"}
        Visitor(app).get("/", base_url="http://book.example", headers=headers)
    by_proxy = {hits_and_notes.HTTPS, hits_and_notes.BY_PROXY, f"{hits_and_notes.ADDRESSES}2"}
    assert set(seen(tmp_path)) == by_proxy | {hits_and_notes.SAME_HOST}


def test_each_fact_is_written_once_an_hour(app: Flask, tmp_path: Path) -> None:
    visitor = Visitor(app)
    visitor.get("/", base_url="https://book.example")
    (tmp_path / hits_and_notes.OBSERVATIONS_FILE).unlink()
    visitor.get("/", base_url="https://book.example")
    assert seen(tmp_path) == {}
    visitor.get("/", base_url="https://other.example")
    assert seen(tmp_path) == {hits_and_notes.OTHER_HOST: "https://other.example"}


def test_monitors_and_odd_headers_are_not_noted(app: Flask, tmp_path: Path) -> None:
    visitor = Visitor(app)
    visitor.get("/healthz", base_url="http://127.0.0.1:8000")
    assert seen(tmp_path) == {}
    visitor.get("/", base_url="http://book.example", headers={"X-Forwarded-Host": "<script>"})
    assert hits_and_notes.OTHER_HOST not in seen(tmp_path)
