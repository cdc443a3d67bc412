"""A small convolutional network in numpy: forward, backward, Adam. Nothing but what the example's model
needs.

Values are float32, images [N, H, W, C]. Padding is SAME as TensorFlow defines it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """(output size, padding before, padding after)."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


def padded(x: Array, kernel: int, stride: int) -> Array:
    _, top, bottom = same_padding(x.shape[1], kernel, stride)
    _, left, right = same_padding(x.shape[2], kernel, stride)
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


@dataclass
class Layer:
    """A convolution and its ReLU. Weights [kernel, kernel, in, out]; depthwise [kernel, kernel, channels]."""

    weights: Array
    bias: Array
    stride: int = 1
    gradients: list[Array] = field(default_factory=list)
    _seen: tuple[Array, ...] = ()

    @property
    def depthwise(self) -> bool:
        return self.weights.ndim == 3

    def forward(self, x: Array) -> Array:
        whole = padded(x, self.weights.shape[0], self.stride)
        y = np.broadcast_to(self.bias, (*self._outputs(x), self.bias.size)).copy()
        for tap, part in self._taps(y.shape):
            y += whole[part] * self.weights[tap] if self.depthwise else whole[part] @ self.weights[tap]
        np.maximum(y, 0, out=y)
        self._seen = (x, whole, y)
        return np.asarray(y, np.float32)

    def backward(self, gradient: Array) -> Array:
        x, whole, y = self._seen
        gradient = gradient * (y > 0)
        weights = np.zeros_like(self.weights)
        back = np.zeros_like(whole)
        flat = gradient.reshape(-1, gradient.shape[-1])
        for tap, part in self._taps(y.shape):
            if self.depthwise:
                weights[tap] = (whole[part] * gradient).sum((0, 1, 2))
                back[part] += gradient * self.weights[tap]
            else:
                weights[tap] = whole[part].reshape(-1, x.shape[-1]).T @ flat
                back[part] += gradient @ self.weights[tap].T
        self.gradients = [weights, flat.sum(0)]
        kernel = self.weights.shape[0]
        _, top, _ = same_padding(x.shape[1], kernel, self.stride)
        _, left, _ = same_padding(x.shape[2], kernel, self.stride)
        return back[:, top : top + x.shape[1], left : left + x.shape[2]]

    def _outputs(self, x: Array) -> tuple[int, int, int]:
        kernel = self.weights.shape[0]
        rows, columns = (same_padding(size, kernel, self.stride)[0] for size in x.shape[1:3])
        return x.shape[0], rows, columns

    def _taps(self, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], tuple[slice, ...]]]:
        """Each tap, and the part of the padded image that it meets."""
        kernel, stride = self.weights.shape[0], self.stride
        for y in range(kernel):
            for x in range(kernel):
                rows = slice(y, y + (shape[1] - 1) * stride + 1, stride)
                columns = slice(x, x + (shape[2] - 1) * stride + 1, stride)
                yield (y, x), (slice(None), rows, columns)


@dataclass
class Network:
    """Convolutions, the mean over the image, a dense layer [channels, classes]."""

    layers: list[Layer]
    weights: Array
    bias: Array
    gradients: list[Array] = field(default_factory=list)
    _seen: tuple[Array, ...] = ()

    def forward(self, x: Array) -> Array:
        """Logits [N, classes]."""
        for layer in self.layers:
            x = layer.forward(x)
        mean = x.mean((1, 2))
        self._seen = (x, mean)
        return np.asarray(mean @ self.weights + self.bias)

    def backward(self, gradient: Array) -> None:
        x, mean = self._seen
        self.gradients = [mean.T @ gradient, gradient.sum(0)]
        back = (gradient @ self.weights.T)[:, None, None, :] / (x.shape[1] * x.shape[2])
        back = np.broadcast_to(back, x.shape)
        for layer in reversed(self.layers):
            back = layer.backward(back)

    def parameters(self) -> list[Array]:
        return [*(p for layer in self.layers for p in (layer.weights, layer.bias)), self.weights, self.bias]

    def all_gradients(self) -> list[Array]:
        return [*(g for layer in self.layers for g in layer.gradients), *self.gradients]


def build(rng: np.random.Generator, classes: int) -> Network:
    """3 x 3 to 8 channels, then two separable blocks to 16 and 32; each halves the image."""

    def draw(*shape: int, fan_in: int) -> Array:
        return rng.normal(0.0, (2.0 / fan_in) ** 0.5, shape).astype(np.float32)

    def zeros(count: int) -> Array:
        return np.zeros(count, np.float32)

    layers = [Layer(draw(3, 3, 1, 8, fan_in=9), zeros(8), 2)]
    for before, after in ((8, 16), (16, 32)):
        layers.append(Layer(draw(3, 3, before, fan_in=9), zeros(before), 2))
        layers.append(Layer(draw(1, 1, before, after, fan_in=before), zeros(after)))
    return Network(layers, draw(32, classes, fan_in=32), zeros(classes))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


@dataclass
class Adam:
    """Kingma and Ba, 2014, with decoupled weight decay."""

    decay: float = 1e-4
    steps: int = 0
    first: list[Array] = field(default_factory=list)
    second: list[Array] = field(default_factory=list)

    def step(self, parameters: list[Array], gradients: list[Array], rate: float) -> None:
        if not self.first:
            self.first = [np.zeros_like(p) for p in parameters]
            self.second = [np.zeros_like(p) for p in parameters]
        self.steps += 1
        for p, g, m, v in zip(parameters, gradients, self.first, self.second, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            m_hat, v_hat = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
            p -= rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + self.decay * p)


def train(
    network: Network, x: Array, labels: NDArray[np.uint8], epochs: int, rng: np.random.Generator
) -> None:
    """Cross entropy with a cosine schedule, batches of 64."""
    adam, batch, peak = Adam(), 64, 3e-3
    total = epochs * (len(x) // batch)
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        losses = []
        for at in range(0, len(x) - batch + 1, batch):
            picked = order[at : at + batch]
            odds = softmax(network.forward(x[picked]))
            losses.append(-np.log(odds[np.arange(batch), labels[picked]] + 1e-9).mean())
            odds[np.arange(batch), labels[picked]] -= 1.0
            network.backward((odds / batch).astype(np.float32))
            rate = peak * 0.5 * (1.0 + np.cos(np.pi * adam.steps / total))
            adam.step(network.parameters(), network.all_gradients(), rate)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)
