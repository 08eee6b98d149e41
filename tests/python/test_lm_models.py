"""Every model that the installed mlx-lm defines: built tiny, run whole, with a cache, quantised."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from lm_models import make, model_names

TOKENS = [[1, 5, 9, 3, 7, 2, 4, 8, 6, 11]]

# Made of kernels for Apple's GPUs, without a form of plain operations.
METAL_ONLY = {"bitnet", "muse_spark"}
# Their definitions take another path with a cache than without, wherever they run.
UNLIKE_WITH_CACHE = {"gemma3n", "phi3small", "plamo3"}
# Its fused layers do not take the mode that nn.quantize passes on.
UNQUANTIZED = {"afm7"}
# Needs a package beside mlx-lm.
FOREIGN = {"olmo"}


@pytest.fixture(params=[n for n in model_names() if n not in METAL_ONLY | FOREIGN])
def model(request):
    mx.random.seed(0)
    model = make(request.param)
    model.eval()
    model.name = request.param
    return model


def finite(logits):
    """As a NumPy array, in which tokens may be ruled out but nothing be unknown."""
    values = np.array(logits.astype(mx.float32))
    assert not np.isnan(values).any() and np.isfinite(values).any(axis=-1).all()
    return values


def with_cache(model, tokens, prompt):
    """The logits of a prompt at once and of the other tokens one by one."""
    from mlx_lm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model)
    parts = [model(tokens[:, :prompt], cache=cache)]
    mx.eval(parts)
    for i in range(prompt, tokens.shape[1]):
        parts.append(model(tokens[:, i : i + 1], cache=cache))
        mx.eval(parts)
    return mx.concatenate(parts, axis=1)


def test_forward_and_cache(model):
    tokens = mx.array(TOKENS)
    whole = finite(model(tokens))
    assert whole.shape[:2] == tokens.shape and whole.shape[2] >= 128
    cached = finite(with_cache(model, tokens, 7))
    if model.name not in UNLIKE_WITH_CACHE:
        np.testing.assert_allclose(cached, whole, rtol=1e-4, atol=1e-4)
    batch = finite(model(mx.concatenate([tokens, tokens[:, ::-1]])))
    np.testing.assert_allclose(batch[0], whole[0], rtol=1e-4, atol=1e-4)


def test_quantized(model, capsys):
    from mlx_lm.utils import dequantize_model, quantize_model

    if model.name in UNQUANTIZED:
        with pytest.raises(TypeError, match="mode"):
            quantize_model(model, {}, group_size=32, bits=4)
        return
    tokens = mx.array(TOKENS)
    quantized, config = quantize_model(copy.deepcopy(model), {}, group_size=32, bits=4)
    assert config["quantization"]["bits"] == 4
    assert "bits per weight" in capsys.readouterr().out
    logits = finite(quantized(tokens))
    finite(with_cache(quantized, tokens, 7))
    # The same as the model with the weights that the quantised ones stand for.
    plain = finite(dequantize_model(quantized)(tokens))
    np.testing.assert_allclose(logits, plain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", sorted(METAL_ONLY & set(model_names())))
def test_models_of_metal_kernels_say_so(name):
    with pytest.raises(RuntimeError, match="no Metal"):
        mx.eval(make(name)(mx.array(TOKENS)))
