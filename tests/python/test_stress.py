"""Short forms of the scripts in tests/stress, which `make stress` runs at length."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "stress"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_thousand_training_steps_leave_nothing_behind():
    assert "nothing grew" in run("steps.py", "1000", "7")


def test_threads_over_shared_graphs():
    assert "nothing wrong" in run("stress.py", "2")  # a fresh seed, which it prints


def test_processes_end_as_they_should():
    run("endings.py", "8")


def test_processes_share_the_work():
    assert "nothing wrong" in run("workers.py", "fork")
