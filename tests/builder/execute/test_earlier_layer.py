import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.execute import copy, earlier_layer
from pybuild.builder.progress import StepOutput
from pybuild.builder.request import Compression
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.store import open_store
from tests.helpers.fake_execute import Site

COUNT = 1000
PLAIN = Compression(algorithm="uncompressed")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(earlier_layer, "TICK_NS", 0)
    (tmp_path / "context").mkdir()
    with open_store(tmp_path / "store") as store:
        site = Site(store=store, context=tmp_path / "context")
        site.write({f"{number % 3}/file-{number}": f"{number}\n" * 10 for number in range(COUNT)})
        site.write({"Dockerfile": "FROM scratch\nCOPY . /in/\n"})
        yield site


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that were read for the archive."""
    names: list[str] = []
    real = copy._Copier._entry

    def noted(self, item, source, path):
        names.append(path)
        return real(self, item, source, path)

    monkeypatch.setattr(copy._Copier, "_entry", noted)
    return names


def anew(site: Site, tmp_path: Path, **request: object) -> BuiltLayer:
    """The layer as a store makes it that has no earlier one."""
    with open_store(tmp_path / f"new-{time.monotonic_ns()}") as store:
        return Site(store=store, context=site.context).solve(**request)[-1]


def test_files_beside_one_that_changed_are_taken_from_the_earlier_layer(site, read, tmp_path):
    site.solve()
    assert len(read) == COUNT + 4
    read.clear()
    (site.context / "1" / "file-1").write_text("touched")
    layer = site.solve()[-1]
    assert "in/1/file-1" in read
    assert len(read) < COUNT / 3
    assert layer.digest == anew(site, tmp_path).digest


def test_a_file_more_or_less_moves_no_boundary(site, read, tmp_path):
    site.solve()
    (site.context / "0" / "file-0").unlink()
    (site.context / "1" / "added").write_text("new")
    os.link(site.context / "2" / "file-2", site.context / "2" / "link")
    read.clear()
    layer = site.solve()[-1]
    assert {"in/1/added", "in/2/file-2", "in/2/link"} <= set(read)
    assert len(read) < COUNT / 2
    assert layer.digest == anew(site, tmp_path).digest


def test_a_damaged_layer_gives_nothing_away(site, tmp_path):
    """Uncompressed, nothing but the digest tells."""
    earlier = site.solve(compression=PLAIN)[-1]
    blob = site.store.blobs.path(earlier.digest)
    data = bytearray(blob.read_bytes())
    at = data.index(b"999\n")
    data[at] = ord("8")
    blob.write_bytes(data)
    (site.context / "1" / "file-1").write_text("touched")
    site.events.clear()
    layer = site.solve(compression=PLAIN)[-1]
    assert layer.digest == anew(site, tmp_path, compression=PLAIN).digest
    said = b"".join(event.data for event in site.events if isinstance(event, StepOutput))
    assert f"nothing is taken from the layer of an earlier build: content of {earlier.digest} has".encode() in said


@pytest.mark.parametrize("spoil", ["cut", "remove"])
def test_a_layer_that_is_not_whole_counts_as_none(site, read, spoil):
    blob = site.store.blobs.path(site.solve()[-1].digest)
    blob.unlink() if spoil == "remove" else os.truncate(blob, 100)
    (site.context / "1" / "file-1").write_text("touched")
    read.clear()
    site.solve()
    assert len(read) == COUNT + 4


def test_what_else_decides_on_the_archive_counts(site, tmp_path):
    site.solve()
    for line in ("COPY --chown=5 . /in/", "COPY --chmod=700 . /in/", "COPY . /on/"):
        site.write({"Dockerfile": f"FROM scratch\n{line}\n"})
        assert site.solve()[-1].digest == anew(site, tmp_path).digest
    assert site.solve(source_date_epoch=1)[-1].digest == anew(site, tmp_path, source_date_epoch=1).digest


def test_a_file_that_could_change_without_a_trace_is_read_again(site, read, monkeypatch):
    monkeypatch.setattr(earlier_layer, "TICK_NS", 10**12)
    site.solve()
    read.clear()
    (site.context / "1" / "file-1").write_text("touched")
    site.solve()
    assert len(read) == COUNT + 4


def test_with_no_cache_nothing_is_taken_from_an_earlier_layer(site, read):
    site.solve()
    read.clear()
    site.solve(no_cache=True)
    assert len(read) == COUNT + 4


def test_what_lies_below_in_the_image_counts(site, read, tmp_path):
    """A directory that the image has already is written over, entry by entry."""
    site.write({"Dockerfile": "FROM scratch\nCOPY 1 /in/1\nCOPY . /in/\n"})
    site.solve()
    read.clear()
    (site.context / "0" / "file-0").write_text("touched")
    layer = site.solve()[-1]
    assert sum(path.startswith("in/1/") for path in read) > COUNT / 4
    assert sum(path.startswith("in/2/") for path in read) == 0
    assert layer.digest == anew(site, tmp_path).digest
