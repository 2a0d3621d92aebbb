"""A run that is killed at any moment goes on from a whole checkpoint, to the same end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from .packages import Statistics, publish

KILLS = 50


def test_a_run_killed_at_any_moment_goes_on(tmp_path):
    publish(Statistics(), tmp_path / "running_statistics", "low-rank")
    values = np.random.default_rng(0).normal(size=(96, 5)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=values, labels=np.arange(96) % 4)
    worker = Path(__file__).with_name("kill_worker.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(worker), str(tmp_path), str(KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    killed, finished = map(int, done.stdout.split())
    assert killed == KILLS and finished
