"""Kernels run on small maps too, where the plain formula would be the faster one."""

from __future__ import annotations

import pytest

from composer.kernels import passes


@pytest.fixture(autouse=True)
def every_map_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "LARGE", 0)
