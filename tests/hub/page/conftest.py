"""One Chromium for the tests of the fleet's page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rigs.browser import Browser, browsing


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium
