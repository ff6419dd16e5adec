"""From a trained torch net to an int8 .tflite, by way of a plain folder and TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.torchnet import TorchNet, folded


def write_export(net: TorchNet, samples: NDArray[np.uint8], folder: Path) -> None:
    """Write graph.json, weights.npz, samples.npy and what the net answers to the first sample."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = net.graph
    description = {
        "shape": graph.shape,
        "nodes": [asdict(node) for node in graph.nodes],
        "outputs": graph.outputs,
    }
    (folder / "graph.json").write_text(json.dumps(description, indent=1))
    np.savez(folder / "weights.npz", **folded(net))  # type: ignore[arg-type]
    samples = samples.copy()
    samples[0, 0, :2] = [[0] * 3, [255] * 3]
    np.save(folder / "samples.npy", samples)
    net.eval()
    with torch.no_grad():
        image = torch.from_numpy(samples[:1]).permute(0, 3, 1, 2).float()
        outputs = net((image - 127.5) / 127.5)
    expected = {f"output{number}": part.numpy() for number, part in enumerate(outputs)}
    np.savez(folder / "expected.npz", **expected)  # type: ignore[arg-type]


def convert(export: Path, target: Path, python: Path) -> None:
    """Run convert.py in the environment whose interpreter is `python`."""
    script = Path(__file__).with_name("convert.py")
    partial = target.with_suffix(".partial")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(python), str(script), str(export), str(partial)], check=True, env=environment)
    partial.replace(target)
