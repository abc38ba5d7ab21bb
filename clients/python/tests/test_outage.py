"""NATS and the worker go away and come back."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import pytest
from conftest import start, stop

import retune


async def test_a_trial_outlives_an_outage(worker: str, tmp_path: Path) -> None:
    process, url = await asyncio.to_thread(start, worker, tmp_path)
    try:
        async with retune.connect(url, reconnect_time_wait=0.2) as client, aclosing(client.configs("m")) as configs:
            await client.report("m", {"loss": 1}, config={"x": 1})
            assert (await anext(configs)).number == 0
            study = {
                "name": "s",
                "objective": {"metric": "loss", "goal": "minimize"},
                "space": {"x": {"type": "float", "low": 0, "high": 1}},
                "strategy": "random",
                "max_trials": 2,
            }
            running = await client.start_study("n", study)
            async with aclosing(client.trials("n")) as trials:
                trial = await anext(trials)
                await trial.report(0, loss=5)
                process.kill()
                process.wait()
                while client.bus.connection.is_connected:
                    await asyncio.sleep(0.05)
                before = asyncio.get_running_loop().time()
                for step in range(1, 50):
                    await trial.report(step, loss=4)
                assert asyncio.get_running_loop().time() - before < 1  # training does not wait
                process, _ = await asyncio.to_thread(start, worker, tmp_path, url.rsplit(":")[-1])
                await trial.complete(loss=3)
                second = await anext(trials)
                assert second.number == 1
                await second.complete(loss=2)
            summary = await running.wait(timeout=20)
            assert [t["value"] for t in summary.trials] == [3, 2]
            await client.report("m", {"loss": 1}, config={"x": 1})
            assert (await anext(configs)).number == 1
    finally:
        stop(process)


async def test_a_server_that_is_late(worker: str, tmp_path: Path) -> None:
    """Whatever was given up until it answers: by the caller, or by nats-py, whose flush takes 10 s by default."""
    process, url = await asyncio.to_thread(start, worker, tmp_path)
    try:
        async with retune.connect(url) as client:
            await client.report("m", {"loss": 1})
            for wait in (0.5, 11.0):
                process.send_signal(signal.SIGSTOP)
                call = asyncio.ensure_future(anext(client.retrains()))
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(call) if wait > 10 else call, wait)
                process.send_signal(signal.SIGCONT)
                await client.report("m", {"loss": 1}, timeout=5)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
    finally:
        process.send_signal(signal.SIGCONT)
        stop(process)
