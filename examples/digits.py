"""Trains a small convolutional network on real handwritten digits, end to end.

The main job of the project in one file: data to batches, a model of mlx.nn, a compiled training
step, weights saved as safetensors and loaded lazily into a new model, a picture of the result.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm


class DigitNet(nn.Module):
    """Two convolutions, one pooling, two linear layers: images (n, 8, 8, 1) to logits (n, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(4 * 4 * 64, 128)
        self.out = nn.Linear(128, 10)

    def __call__(self, x):
        x = nn.relu(self.conv1(x))
        x = self.pool(nn.relu(self.conv2(x)))
        x = self.dropout(x.reshape(x.shape[0], -1))
        return self.out(nn.relu(self.hidden(x)))


def digits():
    """The digits of scikit-learn as (images, labels) for training and for the held-out fifth."""
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)[..., None]
    labels = data.target.astype(np.int32)
    split = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    x_train, x_test, y_train, y_test = (mx.array(part) for part in split)
    return (x_train, y_train), (x_test, y_test)


def loss_fn(model, x, y):
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def train(model, x, y, epochs, batch_size):
    """Trains in place with Adam and a compiled step; returns the loss of every step."""
    steps_per_epoch = x.shape[0] // batch_size
    optimizer = optim.Adam(learning_rate=2e-3)
    loss_and_grad = nn.value_and_grad(model, loss_fn)
    state = [model.state, optimizer.state, mx.random.state]

    def step(x, y):
        loss, grads = loss_and_grad(model, x, y)
        optimizer.update(model, grads)
        return loss

    step = mx.compile(step, inputs=state, outputs=state)
    losses = []
    model.train()
    with tqdm(total=epochs * steps_per_epoch, desc="training", unit="step", mininterval=0.5) as bar:
        for _ in range(epochs):
            order = mx.random.permutation(x.shape[0])
            for i in range(steps_per_epoch):
                rows = order[i * batch_size : (i + 1) * batch_size]
                loss = step(x[rows], y[rows])
                mx.eval(loss, state)
                losses.append(loss.item())
                bar.update()
            bar.set_postfix(loss=f"{np.mean(losses[-steps_per_epoch:]):.4f}")
    return losses


def predict(model, x):
    model.eval()
    return mx.argmax(model(x), axis=1)


def accuracy(model, x, y):
    return mx.mean(predict(model, x) == y).item()


def draw(path, losses, images, labels, predictions):
    """Writes the loss curve and a grid of test digits, wrong answers first and in red."""
    images, labels, predictions = (np.array(a) for a in (images, labels, predictions))
    order = np.argsort(predictions == labels, kind="stable")[:40]
    figure = plt.figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.2])
    axes = left.subplots()
    axes.semilogy(losses)
    axes.set(xlabel="step", ylabel="cross entropy", title="training loss")
    right.suptitle("predictions on the held-out fifth")
    for cell, i in zip(right.subplots(5, 8).flat, order, strict=True):
        cell.imshow(images[i, ..., 0], cmap="gray_r")
        right_answer = predictions[i] == labels[i]
        cell.set_title(f"{predictions[i]}", color="black" if right_answer else "red", fontsize=9)
        cell.axis("off")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], help="default: the best there is")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    options = parser.parse_args()
    if options.device:
        mx.set_default_device(getattr(mx, options.device))
    mx.random.seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)

    (x_train, y_train), (x_test, y_test) = digits()
    print(f"{x_train.shape[0]} digits to learn from, {x_test.shape[0]} held out")
    model = DigitNet()
    start = time.perf_counter()
    losses = train(model, x_train, y_train, options.epochs, options.batch_size)
    seconds = time.perf_counter() - start
    reached = accuracy(model, x_test, y_test)
    print(f"{reached:.2%} of the held-out digits right after {seconds:.1f} s of training")

    weights = options.out / "digits.safetensors"
    model.save_weights(str(weights))
    restored = DigitNet()
    restored.load_weights(str(weights))
    again = accuracy(restored, x_test, y_test)
    print(f"{again:.2%} with the weights loaded back from {weights}")

    picture = options.out / "digits.png"
    draw(picture, losses, x_test, y_test, predict(restored, x_test))
    print(f"loss curve and predictions drawn in {picture.resolve()}")
    if reached < 0.97 or again != reached:
        raise SystemExit("expected at least 97 %, and the same accuracy from the loaded weights")


if __name__ == "__main__":
    main()
