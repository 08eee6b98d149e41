"""Loss functions: a value for each sample, then none, the mean or the sum of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import mlx.core as mx

Reduction = Literal["none", "mean", "sum"]


def _reduce(loss: mx.array, reduction: Reduction) -> mx.array:
    if reduction == "mean":
        return mx.mean(loss)
    if reduction == "sum":
        return mx.sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"Invalid reduction. Must be one of {get_args(Reduction)}.")


def _check_same_shape(**arrays: mx.array) -> None:
    (name_a, a), (name_b, b) = arrays.items()
    if a.shape != b.shape:
        raise ValueError(
            f"{name_a.capitalize()} shape {a.shape} does not match {name_b} shape {b.shape}."
        )


def _without(axis: int, shape: Sequence[int]) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _is_plain_classification(logits: mx.array, targets: mx.array, axis: int) -> bool:
    """Whether each row of the last axis has one class, as the fused loss takes it."""
    return (
        targets.ndim == logits.ndim - 1
        and axis in (-1, logits.ndim - 1)
        and logits.shape[-1] > 0
        and mx.issubdtype(logits.dtype, mx.floating)
        and mx.issubdtype(targets.dtype, mx.integer)
    )


def _cross_entropy_from_ops(
    logits: mx.array, targets: mx.array, axis: int, label_smoothing: float
) -> mx.array:
    logits = logits - mx.stop_gradient(mx.max(logits, axis=axis, keepdims=True))
    if targets.ndim == logits.ndim:
        score = mx.sum(logits * targets, axis=axis)
    else:
        score = mx.take_along_axis(logits, mx.expand_dims(targets, axis), axis).squeeze(axis)
    loss = mx.logsumexp(logits, axis=axis)
    if label_smoothing > 0:
        uniform = mx.mean(logits, axis=axis)
        return loss - (1 - label_smoothing) * score - label_smoothing * uniform
    return loss - score


def cross_entropy(
    logits: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """Cross entropy between unnormalised log probabilities and targets.

    Args:
        logits: scores of the classes along `axis`.
        targets: class indices (the shape of `logits` without `axis`) or class probabilities
            (the shape of `logits`).
        weights: a factor for each loss, of the shape of the losses.
        axis: the axis of the classes.
        label_smoothing: the part of the target probability, at least 0 and below 1, that is
            spread evenly over all classes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        The losses, of the shape of `logits` without `axis`, or their mean or sum.

    Raises:
        ValueError: if shapes do not fit or `label_smoothing` is out of range.

    Example:
        >>> nn.losses.cross_entropy(mx.array([[2.0, -1.0], [-1.0, 2.0]]), mx.array([0, 1]))
        array([0.0485873, 0.0485873], dtype=float32)
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"Label smoothing must be in [0, 1), got {label_smoothing}.")
    as_probabilities = targets.ndim == logits.ndim
    expected = logits.shape if as_probabilities else _without(axis, logits.shape)
    if targets.shape != expected:
        raise ValueError(
            f"Targets shape {targets.shape} does not match logits shape {logits.shape}."
        )

    if _is_plain_classification(logits, targets, axis) and label_smoothing == 0:
        # Taking the class from all classes counts negative indices from the end and checks them.
        classes = mx.take(mx.arange(logits.shape[-1]), targets)
        loss = mx.fast.cross_entropy(logits, classes).astype(logits.dtype)
    else:
        loss = _cross_entropy_from_ops(logits, targets, axis, label_smoothing)

    if weights is not None:
        if weights.shape != loss.shape:
            raise ValueError(
                f"Weights with shape {weights.shape} is not the same as output loss with "
                f"shape {loss.shape}."
            )
        loss = loss * weights
    return _reduce(loss, reduction)


def binary_cross_entropy(
    inputs: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    with_logits: bool = True,
    reduction: Reduction = "mean",
) -> mx.array:
    """Cross entropy of yes-or-no predictions.

    Args:
        inputs: logits, or probabilities if `with_logits` is false.
        targets: the probabilities to predict, of the shape of `inputs`.
        weights: a factor for each loss, of the shape of the losses.
        with_logits: whether `inputs` are logits. The logarithms of probabilities are limited to
            at least -100.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    _check_same_shape(inputs=inputs, targets=targets)
    if with_logits:
        loss = mx.logaddexp(0.0, inputs) - inputs * targets
    else:
        log_p = mx.clip(mx.log(inputs), a_min=-100, a_max=None)
        log_q = mx.clip(mx.log(1 - inputs), a_min=-100, a_max=None)
        loss = -(targets * log_p + (1 - targets) * log_q)
    if weights is not None:
        if weights.shape != loss.shape:
            raise ValueError(
                f"Weights with shape {weights.shape} is not the same as output loss with "
                f"shape {loss.shape}."
            )
        loss = loss * weights
    return _reduce(loss, reduction)


def l1_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """Absolute differences; both arguments have the same shape."""
    _check_same_shape(predictions=predictions, targets=targets)
    return _reduce(mx.abs(predictions - targets), reduction)


def mse_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """Squared differences; both arguments have the same shape."""
    _check_same_shape(predictions=predictions, targets=targets)
    return _reduce(mx.square(predictions - targets), reduction)


def nll_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """Minus the log probability of the target class.

    Args:
        inputs: log probabilities of the classes along `axis`.
        targets: class indices, of the shape of `inputs` without `axis`.
        axis: the axis of the classes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    picked = mx.take_along_axis(inputs, mx.expand_dims(targets, axis), axis).squeeze(axis)
    return _reduce(-picked, reduction)


def gaussian_nll_loss(
    inputs: mx.array,
    targets: mx.array,
    vars: mx.array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> mx.array:
    """Negative log likelihood of targets under independent normal distributions.

    Args:
        inputs: expectations.
        targets: observations, of the shape of `inputs`.
        vars: variances, of the shape of `inputs`.
        full: add the constant ``log(2 pi) / 2``.
        eps: the smallest variance.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    _check_same_shape(inputs=inputs, targets=targets)
    _check_same_shape(inputs=inputs, vars=vars)
    vars = mx.maximum(vars, eps)
    loss = 0.5 * (mx.log(vars) + mx.square(targets - inputs) / vars)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def kl_div_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """Kullback-Leibler divergence of `inputs` from `targets`.

    Args:
        inputs: log probabilities of the predicted distribution along `axis`.
        targets: log probabilities of the true distribution along `axis`.
        axis: the axis of the distributions.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    return _reduce(mx.sum(mx.exp(targets) * (targets - inputs), axis), reduction)


def smooth_l1_loss(
    predictions: mx.array, targets: mx.array, beta: float = 1.0, reduction: Reduction = "mean"
) -> mx.array:
    """Half the squared difference over `beta` for differences below `beta`, else linear.

    Args:
        predictions: predictions.
        targets: targets, of the shape of `predictions`.
        beta: the difference at which the loss becomes linear.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    _check_same_shape(predictions=predictions, targets=targets)
    diff = mx.abs(predictions - targets)
    loss = mx.where(diff < beta, 0.5 * mx.square(diff) / beta, diff - 0.5 * beta)
    return _reduce(loss, reduction)


def triplet_loss(
    anchors: mx.array,
    positives: mx.array,
    negatives: mx.array,
    axis: int = -1,
    p: int = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
    reduction: Reduction = "none",
) -> mx.array:
    """How much less than `margin` the negatives are farther away than the positives.

    Args:
        anchors: vectors along `axis`.
        positives: vectors that should be near.
        negatives: vectors that should be far.
        axis: the axis of the vectors.
        p: the order of the norm.
        margin: the distance wanted between the two distances.
        eps: added under the root.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """

    def distance(a: mx.array, b: mx.array) -> mx.array:
        return mx.power(mx.power(mx.abs(a - b), p).sum(axis) + eps, 1.0 / p)

    loss = distance(anchors, positives) - distance(anchors, negatives) + margin
    return _reduce(mx.maximum(loss, 0), reduction)


def hinge_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``max(1 - inputs * targets, 0)`` for targets of -1 and 1."""
    return _reduce(mx.maximum(1 - inputs * targets, 0), reduction)


def huber_loss(
    inputs: mx.array, targets: mx.array, delta: float = 1.0, reduction: Reduction = "none"
) -> mx.array:
    """Half the squared error up to an error of `delta`, linear with the same slope beyond.

    Args:
        inputs: predictions.
        targets: targets, of the shape of `inputs`.
        delta: the error at which the loss becomes linear.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    error = mx.abs(inputs - targets)
    quadratic = mx.minimum(error, delta)
    return _reduce(0.5 * quadratic**2 + delta * (error - quadratic), reduction)


def log_cosh_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``log(cosh(inputs - targets))``: quadratic for small errors and linear for large ones."""
    error = inputs - targets
    return _reduce(mx.logaddexp(error, -error) - math.log(2), reduction)


def cosine_similarity_loss(
    x1: mx.array,
    x2: mx.array,
    axis: int = 1,
    eps: float = 1e-8,
    reduction: Reduction = "none",
) -> mx.array:
    """Cosine of the angle between vectors.

    Args:
        x1: vectors along `axis`.
        x2: other vectors along `axis`.
        axis: the axis of the vectors.
        eps: the smallest product of norms to divide by.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    norms = mx.sqrt(mx.sum(mx.square(x1), axis=axis)) * mx.sqrt(mx.sum(mx.square(x2), axis=axis))
    return _reduce(mx.sum(x1 * x2, axis=axis) / mx.maximum(norms, eps), reduction)


def margin_ranking_loss(
    inputs1: mx.array,
    inputs2: mx.array,
    targets: mx.array,
    margin: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """``max(0, -targets * (inputs1 - inputs2) + margin)``.

    Args:
        inputs1: scores.
        inputs2: scores to compare with, of the same shape.
        targets: 1 where the first should be higher and -1 where the second should be.
        margin: the difference wanted.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    if not inputs1.shape == inputs2.shape == targets.shape:
        raise ValueError(
            f"The shapes of the arguments do not match. The provided shapes are "
            f"{inputs1.shape=}, {inputs2.shape=}, and {targets.shape=}."
        )
    return _reduce(mx.maximum(0, -targets * (inputs1 - inputs2) + margin), reduction)
