from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.tracking.association import cheapest_columns

COSTS = st.one_of(st.floats(0, 3), st.just(1e6))


@st.composite
def matrices(draw: st.DrawFn) -> list[list[float]]:
    rows = draw(st.integers(1, 4))
    columns = draw(st.integers(rows, 6))
    return [[draw(COSTS) for _ in range(columns)] for _ in range(rows)]


@given(matrices())
def test_no_other_choice_of_columns_is_cheaper(matrix: list[list[float]]) -> None:
    rows, columns = len(matrix), len(matrix[0])

    chosen = cheapest_columns(matrix)

    assert len(set(chosen)) == rows
    least = min(sum(matrix[i][p[i]] for i in range(rows)) for p in permutations(range(columns), rows))
    assert abs(sum(matrix[i][j] for i, j in enumerate(chosen)) - least) < 1e-5


def test_nothing_to_assign_is_nothing() -> None:
    assert cheapest_columns([]) == []
