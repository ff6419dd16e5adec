"""The README's table of operations is the code's, and there are as many as the service has."""

from __future__ import annotations

from pathlib import Path

from botocore.session import Session

from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS, markdown

README = Path(__file__).parents[3] / "edge/api/rekognition/README.md"


def test_the_table_of_operations_is_the_one_that_the_code_writes() -> None:
    assert README.read_text(encoding="utf-8").endswith("## The 75 operations\n\n" + markdown())


def test_every_operation_of_the_service_has_its_row() -> None:
    names = [line.split(" | ")[0].removeprefix("| ") for line in markdown().splitlines()[2:]]
    assert names == sorted(Session().get_service_model("rekognition").operation_names)
    assert len(names) == 75


def test_what_is_partial_says_what_is_missing() -> None:
    assert all(bool(operation.note) == (operation.status == "partial") for operation in OPERATIONS.values())
    assert all(NOT_HERE.values())


def test_every_operation_names_a_function_of_its_own() -> None:
    functions = [operation.loaded() for operation in OPERATIONS.values()]

    assert all(callable(one) for one in functions)
    assert len(set(functions)) == len(OPERATIONS)
