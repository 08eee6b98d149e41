"""Where the modules of these tests are found, and an end for tests that hang."""

import faulthandler
import gc
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]


def pytest_terminal_summary(terminalreporter):
    import injection

    counts = ", ".join(f"{n} of {point}" for point, n in injection.INJECTED.most_common())
    terminalreporter.write_line(f"injected faults: {injection.INJECTED.total()} ({counts})")


@pytest.fixture(autouse=True)
def ends():
    """Ends the process with the stacks of all threads if a test takes too long."""
    faulthandler.dump_traceback_later(240, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def device(request):
    """The CPU, but for tests of modules that name another DEVICE."""
    import mlx.core as mx

    mx.set_default_device(getattr(request.module, "DEVICE", mx.cpu))


@pytest.fixture(autouse=True, scope="session")
def faults_are_built():
    import injection

    gc.freeze()  # what is there stays there, so that looking for cycles is quick
    if not injection.BUILT:
        pytest.exit("The library was built without MLX_FAULTS.", returncode=1)
