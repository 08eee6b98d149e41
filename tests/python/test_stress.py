"""Short forms of the scripts in tests/stress, which `make stress` runs at length."""

from pathlib import Path

from children import run_script

SCRIPTS = Path(__file__).parents[1] / "stress"


def test_a_thousand_training_steps_leave_nothing_behind():
    assert "nothing grew" in run_script(SCRIPTS / "steps.py", "1000", "7")


def test_threads_over_shared_graphs():
    assert "nothing wrong" in run_script(
        SCRIPTS / "stress.py", "2"
    )  # a fresh seed, which it prints


def test_processes_end_as_they_should():
    run_script(SCRIPTS / "endings.py", "8")


def test_processes_share_the_work():
    assert "nothing wrong" in run_script(SCRIPTS / "workers.py", "fork")
