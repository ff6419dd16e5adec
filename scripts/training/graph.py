"""A net as a list of plain nodes: trained by torch, rebuilt by Keras, described once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One layer. Convolutions pad as TFLite's SAME does, so that no padding layer is needed."""

    name: str
    kind: str
    """conv, dense, add, up (twice, nearest), flatten, rows, join or fold (a map's columns into its channels)."""
    inputs: tuple[str, ...]
    channels: int = 0
    """Channels that come out (conv, dense); channels of a row (rows)."""
    kernel: int = 3
    stride: int = 1
    activation: str = ""
    """relu, sigmoid or nothing."""
    norm: bool = True
    """Batch norm follows the convolution; it is folded into it on export."""


class Graph:
    """Collects nodes; every method adds one and returns its name."""

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        self.shape = (height, width, channels)
        self.nodes: list[Node] = []
        self.outputs: tuple[str, ...] = ()

    def _add(self, kind: str, inputs: Sequence[str], **options: object) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(Node(name, kind, tuple(inputs), **options))  # type: ignore[arg-type]
        return name

    def conv(
        self,
        source: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        activation: str = "relu",
        norm: bool = True,
    ) -> str:
        return self._add(
            "conv", [source], channels=channels, kernel=kernel, stride=stride,
            activation=activation, norm=norm,
        )  # fmt: skip

    def dense(self, source: str, channels: int) -> str:
        return self._add("dense", [source], channels=channels)

    def add(self, first: str, second: str, activation: str = "relu") -> str:
        return self._add("add", [first, second], activation=activation)

    def up(self, source: str) -> str:
        return self._add("up", [source])

    def flatten(self, source: str) -> str:
        return self._add("flatten", [source])

    def rows(self, source: str, channels: int) -> str:
        """A map (height, width, channels) as (height * width, channels) rows."""
        return self._add("rows", [source], channels=channels)

    def fold(self, source: str) -> str:
        """A map (height, width, channels) as (height, 1, width * channels)."""
        width, channels = self.sizes()[source][1], self.channels()[source]
        return self._add("fold", [source], channels=width * channels)

    def join(self, sources: Sequence[str]) -> str:
        """Rows of several maps one after another."""
        return self._add("join", sources)

    def residual(self, source: str, channels: int, middle: int | None = None) -> str:
        """Two convolutions whose result is added to what came in."""
        inner = self.conv(source, middle or channels)
        return self.add(source, self.conv(inner, channels, activation=""))

    def channels(self) -> dict[str, int]:
        """Channels of every tensor by name."""
        known = {"input": self.shape[2]}
        for node in self.nodes:
            known[node.name] = node.channels or known[node.inputs[0]]
        return known

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of every map by name; rows and vectors keep their map's."""
        known = {"input": self.shape[:2]}
        for node in self.nodes:
            height, width = known[node.inputs[0]]
            if node.kind == "conv":
                height, width = (-(-side // node.stride) for side in (height, width))
            elif node.kind == "up":
                height, width = 2 * height, 2 * width
            elif node.kind == "fold":
                width = 1
            known[node.name] = (height, width)
        return known


def embedder(width: int = 16, blocks: tuple[int, int, int] = (2, 5, 2)) -> Graph:
    """112 x 112 aligned face to 128 numbers: a small dense residual net."""
    graph = Graph(112, 112)
    last = graph.conv(graph.conv("input", width, stride=2), 2 * width, stride=2)
    for level, count in enumerate(blocks):
        channels = (2 << level) * width
        if level:
            last = graph.conv(last, channels, stride=2)
        for _ in range(count):
            last = graph.residual(last, channels)
    last = graph.conv(last, 40, kernel=1, activation="")
    graph.outputs = (graph.dense(graph.flatten(last), 128),)
    return graph


POINTS = 5
STRIDES = (8, 16, 32)


def detector(
    first: tuple[int, int] = (8, 16),
    widths: tuple[int, int, int] = (40, 56, 72),
    blocks: tuple[int, int, int] = (3, 3, 2),
    head: int = 32,
) -> Graph:
    """320 x 240 picture to scores, boxes and landmarks of every cell of three grids: fine, middle, coarse."""
    graph = Graph(240, 320)
    last = "input"
    for width in first:
        last = graph.conv(last, width, stride=2)
    levels = []
    for width, count in zip(widths, blocks, strict=True):
        last = graph.conv(last, width, stride=2)
        for number in range(count):
            inner = width if levels else (width // 2 if not number else 4 * width // 5)
            last = graph.residual(last, width, inner)
        levels.append(last)
    fine, middle, coarse = levels
    above = graph.up(graph.conv(middle, widths[0], kernel=1, activation=""))
    merged = graph.add(fine, above)
    heads = [graph.conv(source, head) for source in (merged, middle, coarse)]
    graph.outputs = tuple(
        graph.join([_head(graph, source, channels, activation) for source in heads])
        for channels, activation in ((1, "sigmoid"), (4, ""), (2 * POINTS, ""))
    )
    return graph


def _head(graph: Graph, source: str, channels: int, activation: str) -> str:
    result = graph.conv(source, channels, kernel=1, activation=activation, norm=False)
    return graph.rows(result, channels)
