"""Rebuilds an exported net in Keras and quantizes it: `python convert.py EXPORT OUT.tflite`.

Runs by itself in the environment that has TensorFlow, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def build(description: dict[str, Any], weights: dict[str, np.ndarray]) -> keras.Model:
    """The Keras model of a described graph, weights in place."""
    height, width, channels = description["shape"]
    known = {"input": keras.Input((height, width, channels), batch_size=1, name="image")}
    for node in description["nodes"]:
        known[node["name"]] = _node(node, [known[name] for name in node["inputs"]], weights)
    outputs = [known[name] for name in description["outputs"]]
    return keras.Model(known["input"], outputs)


def _node(node: dict[str, Any], inputs: list[Any], weights: dict[str, np.ndarray]) -> Any:
    first, kind, activation = inputs[0], node["kind"], node["activation"] or None
    if kind == "conv":
        return _conv(first, node, weights, node["kernel"], "same")
    if kind == "dense":
        kernel = tuple(first.shape[1:3])
        return keras.layers.Reshape((node["channels"],))(_conv(first, node, weights, kernel, "valid"))
    if kind == "add":
        total = keras.layers.Add()(inputs)
        return keras.layers.Activation(activation)(total) if activation else total
    if kind == "up":
        return keras.layers.UpSampling2D(interpolation="nearest")(first)
    if kind == "flatten":
        return first
    if kind == "fold":
        return keras.layers.Reshape((first.shape[1], 1, node["channels"]))(first)
    if kind == "rows":
        return keras.layers.Reshape((-1, node["channels"]))(first)
    if kind == "join":
        return keras.layers.Concatenate(axis=1)(inputs)
    raise ValueError(f"no layer of kind {kind}")


def _conv(source: Any, node: dict[str, Any], weights: dict[str, np.ndarray], kernel: Any, padding: str) -> Any:
    layer = keras.layers.Conv2D(
        node["channels"], kernel, node["stride"], padding, activation=node["activation"] or None
    )
    result = layer(source)
    values = weights[f"{node['name']}/kernel"]
    layer.set_weights([values.reshape(layer.kernel.shape), weights[f"{node['name']}/bias"]])
    return result


def quantize(model: keras.Model, samples: np.ndarray) -> bytes:
    """A full int8 TFLite model: uint8 pictures in, int8 out; `samples` are (N, H, W, 3) bytes."""

    def representative() -> Iterator[list[np.ndarray]]:
        for sample in samples:
            yield [(sample[None].astype(np.float32) - 127.5) / 127.5]

    keras.utils.disable_interactive_logging()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    """Convert the export in a folder; beside the samples it holds what torch answered to some."""
    export, target = Path(sys.argv[1]), Path(sys.argv[2])
    description = json.loads((export / "graph.json").read_text())
    model = build(description, dict(np.load(export / "weights.npz")))
    samples = np.load(export / "samples.npy")
    expected = np.load(export / "expected.npz")
    got = model((samples[:1].astype(np.float32) - 127.5) / 127.5)
    parts = got if isinstance(got, list | tuple) else [got]
    for number, part in enumerate(parts):
        worst = np.abs(part.numpy() - expected[f"output{number}"]).max()
        if worst > 1e-3:
            raise SystemExit(f"output {number} differs from torch's by {worst:.2g}")
    target.write_bytes(quantize(model, samples))


if __name__ == "__main__":
    main()
