"""Tests run against a real worker, built from the repository, with a NATS server of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 60.0  # seconds for a test

CONFIG = """
models:
  - match: "*"
    tuner: {strategy: explore, options: {rate: 0.10, relative: true}}
    monitor:
      - {metric: loss, detector: rolling_mean, window: 4, threshold: 0.05}
"""


def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT))
    return True


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program, built from the repository; RETUNE_WORKER names one that is built already."""
    if built := os.environ.get("RETUNE_WORKER"):
        return built
    if shutil.which("go") is None:
        pytest.skip("go is not installed: the tests build a worker")
    program = tmp_path_factory.mktemp("bin") / "worker"
    subprocess.run(["go", "build", "-o", str(program), "./cmd/worker"], cwd=ROOT, check=True, timeout=300)
    return str(program)


@pytest.fixture(scope="session")
def url(worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a worker listens for the time of the tests."""
    process, address = start(worker, tmp_path_factory.mktemp("worker"))
    yield address
    stop(process)


def start(worker: str, folder: Path, port: str = "0") -> tuple[subprocess.Popen[str], str]:
    """A worker with its own server and the data of the folder, and where it listens."""
    (folder / "worker.yaml").write_text(CONFIG)
    command = [worker, "run", "--config", "worker.yaml", "--port", port, "--data", "data", "--log-format", "json"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    return process, _address(process.stderr)


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(log: IO[str]) -> str:
    lines = []
    for line in log:
        lines.append(line)
        if "ready for reports" in line:
            threading.Thread(target=log.read, daemon=True).start()
            return str(json.loads(line)["nats"])
    raise RuntimeError(f"the worker did not start: {lines}")


@pytest.fixture
def model() -> str:
    return f"m-{uuid.uuid4().hex[:8]}"
