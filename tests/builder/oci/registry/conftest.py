"""Nothing here is about power cuts, and hundreds of tiny pulls would spend their time waiting for the disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
