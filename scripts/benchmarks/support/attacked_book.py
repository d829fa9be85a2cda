"""A served book that is attacked: its pages as a visitor and its owner load them, its pass, and the cost."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import requests
from flask import Flask

from scripts.benchmarks import pages
from scripts.benchmarks.support import process_usage
from scripts.benchmarks.support import served_book as sites

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
VISITS = 20  # that show what one costs
TIMEOUT = 300  # seconds


@dataclass(slots=True)
class Costs:
    """What a stretch has taken, of the server and of the passes that ran in it."""

    seconds: float = 0.0
    cpu: float = 0.0  # seconds
    mb: float = 0.0  # above what the process had before; a pass counts from what an idle one has


class Victim:
    """The book at a port, served by the process of that number."""

    def __init__(self, app: Flask, port: int, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._app, self._pid = app, pid
        self._passes = Costs()

    @cached_property
    def owner(self) -> requests.Session:
        """Return a session that is logged in."""
        session = requests.Session()
        form = {"csrf_token": self._csrf(session, "/admin/login"), "password": pages.PASSWORD}
        session.post(f"{self.url}/admin/login", data=form, timeout=TIMEOUT).raise_for_status()
        return session

    def visit(self) -> None:
        """Load the front page as anybody."""
        requests.get(f"{self.url}/", timeout=TIMEOUT).raise_for_status()

    def load(self, path: str) -> str:
        """Load a page as the owner; return the status and the size in kB."""
        answer = self.owner.get(self.url + path, timeout=TIMEOUT)
        return f"{answer.status_code}, {len(answer.content) / 1000:.0f} kB"

    def submit(self, path: str, form: Mapping[str, str]) -> str:
        """Send a form as the owner; return the status and the size in kB."""
        fields = {"csrf_token": self._csrf(self.owner, "/admin/"), **form}
        answer = self.owner.post(self.url + path, data=fields, timeout=TIMEOUT)
        return f"{answer.status_code}, {len(answer.content) / 1000:.0f} kB"

    def post(self, path: str, body: bytes, **headers: str) -> str:
        """Post anything as anybody; return the status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return str(requests.post(self.url + path, data=body, headers=named, timeout=TIMEOUT).status_code)

    def cron(self) -> str:
        """Run a pass beside the server; return how it ended."""
        code, cpu, mb = self._cron()
        self._passes.cpu += max(0.0, cpu - self._idle_pass[1])
        self._passes.mb = max(self._passes.mb, mb - self._idle_pass[2])
        return f"exit {code}"

    @cached_property
    def cpu_of_a_visit(self) -> float:
        """Return the CPU seconds that a visit costs the server."""
        before = process_usage.cpu([self._pid])
        for _ in range(VISITS):
            self.visit()
        return (process_usage.cpu([self._pid]) - before) / VISITS

    @contextmanager
    def measured(self) -> Iterator[Costs]:
        """Measure what is done meanwhile."""
        costs = Costs()
        _ = self.owner, self.cpu_of_a_visit, self._idle_pass  # which also warms up
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        self._passes, start = Costs(), time.perf_counter()
        cpu, mb = process_usage.cpu([self._pid]), process_usage.peak(self._pid)
        yield costs
        costs.seconds = time.perf_counter() - start
        costs.cpu = process_usage.cpu([self._pid]) - cpu + self._passes.cpu
        costs.mb = max(process_usage.peak(self._pid) - mb, self._passes.mb)

    @cached_property
    def _idle_pass(self) -> tuple[int, float, float]:
        return self._cron("--help")

    def _cron(self, *options: str) -> tuple[int, float, float]:
        """Run the command; return its exit code, its CPU seconds and its peak in MB."""
        command = [sys.executable, "-m", "flask", "--app", "guestbook", "cron", *options]
        process = subprocess.Popen(command, env=sites.environ_of(self._app), stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    def _csrf(self, session: requests.Session, path: str) -> str:
        token = CSRF.search(session.get(self.url + path, timeout=TIMEOUT).text)
        assert token, path
        return token[1]
