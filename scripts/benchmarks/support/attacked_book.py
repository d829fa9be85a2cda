"""A served book under attack: its pages for a visitor and for the owner, its pass, and the costs."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from scripts.benchmarks.support import process_usage, processes, temp_book

VISITS = 20  # to measure the CPU of one
TIMEOUT = 300  # seconds
JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Costs:
    """The costs of one attack, for the server and for passes."""

    seconds: float = 0.0
    cpu: float = 0.0  # seconds
    mb: float = 0.0  # more than the process had before; for a pass, more than an idle one has


class Victim:
    """The book at a port, and the process that serves it."""

    def __init__(self, app: Flask, port: int, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._app, self._pid = app, pid
        self._passes = Costs()

    @cached_property
    def owner(self) -> requests.Session:
        """Return a session that is logged in."""
        session = requests.Session()
        temp_book.log_in(session, self.url)
        return session

    def visit(self) -> None:
        """Load the front page as anybody."""
        requests.get(f"{self.url}/", timeout=TIMEOUT).raise_for_status()

    def load(self, path: str) -> str:
        """Load a page as the owner; return the status and the size in kB."""
        return _summary(self.owner.get(self.url + path, timeout=TIMEOUT))

    def submit(self, path: str, form: Mapping[str, str]) -> str:
        """Send a form as the owner; return the status and the size in kB."""
        token = temp_book.hidden_field(
            self.owner.get(f"{self.url}/admin/", timeout=TIMEOUT).text, "csrf_token"
        )
        return _summary(self.owner.post(self.url + path, data={"csrf_token": token, **form}, timeout=TIMEOUT))

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = JSON) -> str:
        """Post anything as anybody; return the status."""
        return str(requests.post(self.url + path, data=body, headers=headers, timeout=TIMEOUT).status_code)

    def cron(self) -> str:
        """Run a pass beside the server; return its exit code."""
        code, costs = self._cron()
        self._passes.cpu += max(0.0, costs.cpu - self._idle_pass.cpu)
        self._passes.mb = max(self._passes.mb, costs.mb - self._idle_pass.mb)
        return f"exit {code}"

    @cached_property
    def cpu_of_a_visit(self) -> float:
        """Return the server's CPU seconds for a visit."""
        before = process_usage.cpu([self._pid])
        for _ in range(VISITS):
            self.visit()
        return (process_usage.cpu([self._pid]) - before) / VISITS

    @contextmanager
    def measured(self) -> Iterator[Costs]:
        """Measure the costs until the block ends."""
        costs = Costs()
        _ = self.owner, self.cpu_of_a_visit, self._idle_pass  # before the clock runs, and to warm up
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        self._passes, start = Costs(), time.perf_counter()
        cpu, mb = process_usage.cpu([self._pid]), process_usage.memory(self._pid, "VmHWM")
        yield costs
        costs.seconds = time.perf_counter() - start
        costs.cpu = process_usage.cpu([self._pid]) - cpu + self._passes.cpu
        costs.mb = max(process_usage.memory(self._pid, "VmHWM") - mb, self._passes.mb)

    @cached_property
    def _idle_pass(self) -> Costs:
        return self._cron("--help")[1]

    def _cron(self, *options: str) -> tuple[int, Costs]:
        """Run the command; return its exit code and its costs."""
        command = (*processes.FLASK, "cron", *options)
        environ = temp_book.environ_of(self._app)
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, Costs(cpu=used.ru_utime + used.ru_stime, mb=used.ru_maxrss / 1024)


Throw = Callable[[], str]  # throws the bomb and returns the answer


class Bomb:
    """Something that would use up CPU or memory if nothing limited it."""

    def __init__(self, name: str, prepare: Callable[..., Throw], *values: Any) -> None:
        self.name, self.prepare, self.values = name, prepare, values


def _summary(answer: requests.Response) -> str:
    return f"{answer.status_code}, {len(answer.content) / 1000:.0f} kB"
