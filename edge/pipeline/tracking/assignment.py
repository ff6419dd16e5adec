"""The assignment problem: shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957), O(rows^2 * columns)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def cheapest_columns(matrix: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row such that no column is used twice and the sum is least.

    Needs at least as many columns as rows, and finite costs.
    """
    height, width = len(matrix), len(matrix[0]) if matrix else 0
    row_price, column_price = [0.0] * height, [0.0] * width
    owner = [-1] * width
    for row in range(height):
        _admit(row, matrix, row_price, column_price, owner)
    chosen = [-1] * height
    for column, row in enumerate(owner):
        if row >= 0:
            chosen[row] = column
    return chosen


def _admit(
    start: int,
    matrix: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    owner: list[int],
) -> None:
    """Give row ``start`` a column, moving earlier rows along the cheapest path where that is cheaper."""
    width = len(column_price)
    distance, previous, done = [math.inf] * width, [-1] * width, [False] * width
    row, column = start, -1
    while row >= 0:
        for j in range(width):
            cost = matrix[row][j] - row_price[row] - column_price[j]
            if not done[j] and cost < distance[j]:
                distance[j], previous[j] = cost, column
        column = min((j for j in range(width) if not done[j]), key=distance.__getitem__)
        step = distance[column]
        row_price[start] += step
        for j in range(width):
            if done[j]:
                row_price[owner[j]] += step
                column_price[j] -= step
            else:
                distance[j] -= step
        done[column] = True
        row = owner[column]
    while column >= 0:
        before = previous[column]
        owner[column] = owner[before] if before >= 0 else start
        column = before
