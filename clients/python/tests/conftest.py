"""Tests run against a real worker, built from the repository, with a NATS server of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
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


def stop(process: subprocess.Popen[Any]) -> None:
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


PASSWORD, HASH = "p%40ss%2Fword", "$2a$04$4SuPxWhphF4LdYyGpmtMX.udSAwpQDXxo3SKcNWTOvXQcVsCpvzve"  # of p@ss/word

GUARDED = """
partitions: 4
limits: {input_bytes: 64MiB, bucket_bytes: 64MiB}
models:
  - match: "*"
    tuner: {strategy: local}
    monitor: [{metric: loss, detector: threshold, limit: 1}]
"""


@pytest.fixture(scope="session")
def guarded(worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The address by which a user of deploy/auth.conf reaches a server with that file, and a worker there."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed: the tests build a NATS server")
    folder = tmp_path_factory.mktemp("guarded")
    package = "github.com/nats-io/nats-server/v2"
    subprocess.run(["go", "build", "-o", str(folder / "nats-server"), package], cwd=ROOT, check=True, timeout=300)
    settings = (ROOT / "deploy" / "nats.conf").read_text()
    for had, has in (("0.0.0.0:4222", "127.0.0.1:-1"), ("127.0.0.1:8222", "127.0.0.1:-1"), ("/data", str(folder))):
        assert f'"{had}"' in settings
        settings = settings.replace(f'"{had}"', f'"{has}"')
    (folder / "nats.conf").write_text(settings)
    shutil.copy(ROOT / "deploy" / "auth.conf", folder)
    hashes = dict.fromkeys(re.findall(r"\$(RETUNE_\w+_HASH)", (folder / "auth.conf").read_text()), HASH)
    command = [str(folder / "nats-server"), "-c", str(folder / "nats.conf"), "--ports_file_dir", str(folder)]
    server = subprocess.Popen(command, env={**os.environ, **hashes}, stderr=subprocess.DEVNULL)
    try:
        host = _listening(server, folder / f"nats-server_{server.pid}.ports")
        (folder / "worker.yaml").write_text(GUARDED)
        command = [worker, "run", "--config", str(folder / "worker.yaml"), "--log-format", "json"]
        address = f"nats://worker:{PASSWORD}@{host}"
        running = subprocess.Popen(command, env={**os.environ, "NATS_URL": address}, stderr=subprocess.PIPE, text=True)
        try:
            assert running.stderr is not None
            _address(running.stderr)
            yield lambda user: f"nats://{user}:{PASSWORD}@127.0.0.1:1,nats://{user}:{PASSWORD}@{host}"
        finally:
            stop(running)
    finally:
        stop(server)


def _listening(server: subprocess.Popen[bytes], ports: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(FileNotFoundError, ValueError):
            return str(json.loads(ports.read_text())["nats"][0]).removeprefix("nats://")
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {server.poll()}")


@pytest.fixture
def model() -> str:
    return f"m-{uuid.uuid4().hex[:8]}"
