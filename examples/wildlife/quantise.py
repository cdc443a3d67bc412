"""From trained float weights to an int8 `.tflite` with the front end before it: post-training quantisation.

Weights are symmetric, one scale a channel (one for the dense layer); an activation's scale spans what
training clips gave, a ReLU's from 0 on; biases are int32 of input scale x weight scale. As TensorFlow's
converter does it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from examples.wildlife.front_end import FEATURE_SCALE, HOP, Graph, add_front_end
from examples.wildlife.network import Array, Layer, Network
from numpy.typing import NDArray
from tests.unit.model.tflite_writer import (
    INT8,
    INT16,
    INT32,
    NONE,
    RELU,
    SAME,
    conv_options,
    depthwise_options,
    fully_connected_options,
    reducer_options,
    softmax_options,
    write_tflite,
)

CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MEAN, SOFTMAX = 3, 4, 9, 40, 25


class Scaled(NamedTuple):
    """A tensor of the graph and how it is quantised."""

    tensor: int
    shape: tuple[int, ...]
    scale: float
    zero: int


def features_model() -> bytes:
    """The front end alone: samples to features."""
    graph = Graph()
    samples = graph.tensor((HOP,), INT16)
    return write_tflite(graph.tensors, graph.ops, [samples], [add_front_end(graph, samples)])


def whole_model(network: Network, sample: Array) -> bytes:
    """Samples to class scores. `sample`: features of training clips, for the activations' scales."""
    graph = Graph()
    samples = graph.tensor((HOP,), INT16)
    x = Scaled(add_front_end(graph, samples), sample.shape[1:], FEATURE_SCALE, -128)
    for layer in network.layers:
        sample = layer.forward(sample)
        x = _convolution(graph, layer, x, sample)
    mean = sample.mean((1, 2))
    pooled = _activation(graph, (1, mean.shape[1]), 0.0, float(mean.max()))
    axes = graph.constant([1, 2], INT32)
    graph.op(MEAN, (x.tensor, axes), pooled.tensor, reducer_options(False))
    logits = mean @ network.weights + network.bias
    scores = _dense(graph, network, pooled, logits)
    classes = graph.tensor((1, logits.shape[1]), INT8, scale=1 / 256, zero=-128)
    graph.op(SOFTMAX, (scores.tensor,), classes, softmax_options(1.0))
    return write_tflite(graph.tensors, graph.ops, [samples], [classes])


def _activation(graph: Graph, shape: tuple[int, ...], low: float, high: float) -> Scaled:
    low, high = min(low, 0.0), max(high, 1e-6)
    scale = float(np.float32((high - low) / 255.0))
    zero = int(np.clip(round(-128 - low / scale), -128, 127))
    return Scaled(graph.tensor(shape, INT8, scale=scale, zero=zero), shape, scale, zero)


def _filters(graph: Graph, weights: Array, axis: int, bias: Array, x: Scaled) -> tuple[int, int]:
    """(weights, bias): constants of the graph. `axis`: of the weights' channels; -1: one scale for all."""
    other = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.abs(weights).max(other, keepdims=True) if axis >= 0 else np.abs(weights).max(keepdims=True)
    scales = np.maximum(largest / 127.0, 1e-9).astype(np.float32)
    flat: NDArray[np.float32] = scales.reshape(-1)
    stored = np.clip(np.round(weights / scales), -127, 127).astype(np.int64)
    both = flat.astype(np.float64) * x.scale
    sums = np.round(bias / both).astype(np.int64)
    return (
        graph.constant(stored, INT8, scale=flat, zero=0, axis=max(axis, 0)),
        graph.constant(sums, INT32, scale=both, zero=0),
    )


def _convolution(graph: Graph, layer: Layer, x: Scaled, sample: Array) -> Scaled:
    y = _activation(graph, (1, *sample.shape[1:]), 0.0, float(np.percentile(sample, 99.98)))
    stride = layer.stride
    if layer.depthwise:
        weights, bias = _filters(graph, layer.weights[None], 3, layer.bias, x)
        options = depthwise_options(SAME, stride, stride, 1, RELU)
        graph.op(DEPTHWISE_CONV_2D, (x.tensor, weights, bias), y.tensor, options)
    else:
        weights, bias = _filters(graph, layer.weights.transpose(3, 0, 1, 2), 0, layer.bias, x)
        graph.op(CONV_2D, (x.tensor, weights, bias), y.tensor, conv_options(SAME, stride, stride, RELU))
    return y


def _dense(graph: Graph, network: Network, x: Scaled, logits: Array) -> Scaled:
    weights, bias = _filters(graph, network.weights.T, -1, network.bias, x)
    y = _activation(graph, (1, logits.shape[1]), float(logits.min()), float(logits.max()))
    graph.op(FULLY_CONNECTED, (x.tensor, weights, bias), y.tensor, fully_connected_options(NONE))
    return y
