"""Programs on a GPU while calls of its runtime and its libraries, or its memory, fail: the first one,
the second one and so on, all from one on, and some by chance."""

import mlx.core as mx
import pytest
from children import run_python
from gpu_programs import GPU_PROGRAMS
from injection import MOST, check_error, faults, outcome, walk

pytestmark = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="needs a GPU")
DEVICE = mx.gpu if mx.is_available(mx.gpu) else mx.cpu


@pytest.mark.parametrize("name", GPU_PROGRAMS)
def test_a_call_of_the_runtime_that_fails(name):
    assert walk("device", GPU_PROGRAMS[name]) > 0


@pytest.mark.parametrize("name", GPU_PROGRAMS)
def test_a_device_that_is_lost_for_a_while(name):
    assert walk("device", GPU_PROGRAMS[name], stride=5, rule="{}-") > 0


def test_a_call_of_a_library_that_fails():
    """Those that are recorded are made once only: see the end."""
    assert walk("device_library", GPU_PROGRAMS["large_matrices"]) > 0


@pytest.mark.parametrize("name", GPU_PROGRAMS)
def test_memory_that_the_device_does_not_have_at_first(name):
    """The cache is given back and the device asked again, so that one failure does not show."""
    assert walk("device_memory", GPU_PROGRAMS[name], step=mx.clear_cache) > 0


@pytest.mark.parametrize("name", GPU_PROGRAMS)
def test_a_device_that_is_out_of_memory(name):
    assert walk("device_memory", GPU_PROGRAMS[name], step=mx.clear_cache, rule="{}-") > 0


@pytest.mark.parametrize("name", GPU_PROGRAMS)
def test_memory_of_the_host(name):
    walk("allocation", GPU_PROGRAMS[name])


@pytest.mark.parametrize("seed", range(10))
def test_faults_by_chance(seed):
    """Several at once, also while others are being dealt with."""
    rules = f"device:0.02@{seed},device_memory:0.1@{seed},device_library:0.02@{seed}"
    for program in GPU_PROGRAMS.values():
        mx.clear_cache()
        with faults(rules):
            error = outcome(program, quietly=True)
        if error:
            check_error(error)
        error = None
        outcome(program, quietly=False)


STARTING = """
    import sys
    sys.path[:0] = [{folder!r}]
    from injection import check_error, faults, outcome, struck
    from gpu_programs import GPU_PROGRAMS
    for name in ("captured", "reports", "fourier"):
        error = outcome(GPU_PROGRAMS[name], quietly=True)
        if error:
            check_error(error)
    print(struck({point!r}))
    with faults(""):
        for name in ("captured", "reports", "fourier"):
            outcome(GPU_PROGRAMS[name], quietly=False)
"""


@pytest.mark.parametrize(
    "rule",
    [f"device:{n}" for n in (*range(1, 17), *range(17, 60, 7))]
    + [f"device_library:{n}" for n in range(1, 15)],
)
def test_a_process_whose_start_fails(rule, request):
    """What is made once, as streams, handles and compiled kernels are, is made by the next who needs
    it."""
    text = STARTING.format(folder=str(request.path.parent), point=rule.split(":")[0])
    assert run_python(text, MLX_FAULTS=rule) == "1"


RECORDING = """
    import sys
    sys.path[:0] = [{folder!r}]
    from injection import check_error, faults, outcome, struck
    from gpu_programs import GPU_PROGRAMS
    program = GPU_PROGRAMS[{name!r}]
    error = outcome(program, quietly=True)
    assert not error or struck("device_library"), error
    if error:
        check_error(error)
    print(struck("device_library"))
    with faults(""):
        outcome(program, quietly=False)
"""


@pytest.mark.parametrize("name", ["captured", "convolutions", "long_transforms"])
def test_a_call_of_a_library_that_fails_while_it_is_recorded(name, request):
    """Each call in a process of its own, until the program makes no more."""
    text = RECORDING.format(folder=str(request.path.parent), name=name)
    struck = [run_python(text, MLX_FAULTS="device_library:1")]
    while struck[-1] == "1":
        assert len(struck) < MOST
        struck.append(run_python(text, MLX_FAULTS=f"device_library:{len(struck) + 1}"))
    assert struck[-1] == "0" and len(struck) > 1
