"""A dynamic-range model as a float one, which runs several times faster: `python floats.py IN.tflite OUT.tflite`.

Runs by itself in the environment that has TensorFlow, so it imports nothing of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema


def as_float(content: bytes) -> bytes:
    """The same model with every int8 weight dequantized."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            buffer = model.buffers[tensor.buffer]
            if tensor.type != schema.TensorType.INT8 or buffer.data is None or not len(buffer.data):
                continue
            kept = tensor.quantization
            values = np.frombuffer(bytes(buffer.data), np.int8).reshape(tensor.shape).astype(np.float32)
            shape = [1] * values.ndim
            shape[kept.quantizedDimension] = -1
            scale = np.asarray(kept.scale, np.float32)
            values = values * (scale.reshape(shape) if scale.size > 1 else scale)
            buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(as_float(Path(sys.argv[1]).read_bytes()))
