"""Every program under every fault of memory, threads and libraries, the first one, the second one
and so on, and under faults by chance."""

import mlx.core as mx
import pytest
from children import run_python
from injection import check_error, faults, outcome, struck, walk
from programs import PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_that_the_allocator_does_not_have(name):
    assert walk("allocation", PROGRAMS[name]) > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_that_the_system_does_not_have(name):
    """The cache is given back and the system asked again, so that one failure does not show."""
    assert walk("block", PROGRAMS[name], step=mx.clear_cache) > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_that_the_library_needs_for_itself(name):
    """Lists, graphs, plans: whatever C++ code takes."""
    assert walk("heap", PROGRAMS[name], stride=3) > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_system_that_is_out_of_memory(name):
    mx.clear_cache()
    with faults("block:1-"):
        error = outcome(PROGRAMS[name], quietly=True)
        assert struck("block") > 0
    assert error is not None
    check_error(error)
    outcome(PROGRAMS[name], quietly=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_that_cannot_be_started(name):
    walk("thread", PROGRAMS[name])


THREADLESS = """
    import sys
    sys.path[:0] = [{folder!r}]
    from injection import check_error, faults, outcome, struck
    from programs import PROGRAMS
    error = outcome(PROGRAMS[{name!r}], quietly=True)
    print(struck("thread"))
    if error:
        check_error(error)
    with faults(""):
        outcome(PROGRAMS[{name!r}], quietly=False)
"""


@pytest.mark.parametrize("name", ["graph", "large", "products", "streams", "asynchronous"])
@pytest.mark.parametrize("rule", ["1", "2", "1-", "0.5@3"])
def test_a_process_that_starts_without_threads(name, rule, request):
    """Threads that once run stay, so only a new process lacks those of the pool."""
    text = THREADLESS.format(folder=str(request.path.parent), name=name)
    run_python(text, MLX_FAULTS=f"thread:{rule}", MLX_NUM_THREADS="4")


def test_rules_of_the_environment_that_are_not_understood():
    code = """
        import mlx.core as mx
        try:
            mx.eval(mx.ones(3) + 1)
        except ValueError as e:
            print(e)
    """
    assert "not understood: memory:1" in run_python(code, MLX_FAULTS="memory:1")


@pytest.mark.parametrize("seed", range(20))
def test_faults_by_chance(seed):
    """Several at once, also while others are being dealt with."""
    rules = f"allocation:0.05@{seed},block:0.1@{seed},thread:0.2@{seed}"
    for program in PROGRAMS.values():
        with faults(rules):
            error = outcome(program, quietly=True)
        if error:
            check_error(error)
        error = None
        outcome(program, quietly=False)
