"""Finding a setting's line in a TOML document."""

from __future__ import annotations

import pytest

from edge.core.settings.locations import line_of, locate

TEXT = """\
state = "/x"
mqtt.host = "a"  # [not.a.header]

[device] # a comment
"name" = "b"

[[cameras]]
name = "one"
zones.mat = [
  [0.1, 0.2],
  [0.3, 0.4],
]
  [[ cameras ]]
  name = "two"
  [cameras.zones]
  mat = []
[labels."a.b"]
score = 1
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("state",), 1),
        (("mqtt", "host"), 2),
        (("device",), 4),
        (("device", "name"), 5),
        (("cameras", 0), 7),
        (("cameras", 0, "name"), 8),
        (("cameras", 0, "zones", "mat", 1, 0), 9),
        (("cameras", 1), 13),
        (("cameras", 1, "name"), 14),
        (("cameras", 1, "zones", "mat"), 16),
        (("labels", "a.b", "score"), 18),
        (("device", "color"), 4),
        (("absent", "key"), None),
        ((), None),
    ],
)
def test_a_setting_is_found_at_its_line_or_at_that_of_what_is_around_it(location, line) -> None:
    assert line_of(location, locate(TEXT)) == line
