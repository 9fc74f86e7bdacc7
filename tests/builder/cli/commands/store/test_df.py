import json
import re
from pathlib import Path

import pytest

from pybuild.builder.cli.commands.store import df
from pybuild.builder.containers import files
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.display.units import human_size
from pybuild.builder.oci.digest import Digest
from pybuild.builder.prune.usage import disk_usage
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.cache_mounts import mount_directory, note_use
from tests.builder.cli.conftest import BASE, Shop


def test_the_store_is_told_by_kind(shop: Shop) -> None:
    named = shop.image("tiny:1")
    dangling = shop.image(layers=({"z": b"z" * 3000},))
    shop.store.cache.put_record(Digest.of(b"one"), image_layers(named))
    shop.store.cache.put_record(Digest.of(b"two"), image_layers(dangling))
    shop.store.snapshot(named)
    assert shop.run("df").lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    rows = {row["Type"]: row for row in map(json.loads, shop.run("df", "--format", "json").lines)}
    assert (rows["Images"]["TotalCount"], rows["Images"]["Active"]) == ("2", "1")
    assert (rows["Build Cache"]["TotalCount"], rows["Build Cache"]["Active"]) == ("2", "1")
    assert (rows["Unpacked Layers"]["TotalCount"], rows["Unpacked Layers"]["Active"]) == ("1", "1")
    assert rows["Images"]["Reclaimable"] != "0B (0%)"
    assert rows["Unpacked Layers"]["Reclaimable"] == "0B (0%)"


def test_an_empty_store_takes_nothing(shop: Shop) -> None:
    assert {row["Size"] for row in map(json.loads, shop.run("df", "--format", "json").lines)} == {"0B"}


def test_verbose_tells_what_each_image_shares(shop: Shop) -> None:
    first = shop.image("tiny:1", "tiny:2")
    shop.image("other:1", layers=(BASE, {"z": b"z" * 3000}))
    lines = shop.run("df", "-v").lines
    assert lines[0] == "Images space usage:"
    assert re.split("  +", lines[2])[-3:] == ["SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"]
    rows = {line.split()[0] + ":" + line.split()[1]: re.split("  +", line) for line in lines[3:6]}
    layer = human_size(first.manifest.layers[0].size)
    assert (rows["tiny:1"][5], rows["other:1"][5]) == (layer, layer)
    assert rows["tiny:1"] == [rows["tiny:2"][0], "1", *rows["tiny:2"][2:]]
    assert "Build cache usage: 0B" in lines
    assert lines[-1].startswith("CACHE MOUNT")


def test_verbose_measures_each_tree_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "cache mount /c 493 0:0"
    mount_directory(name, shop.store).mkdir()
    note_use(name, shop.store)
    Volumes(shop.store).add("data")
    measured: list[Path] = []

    def counted(path: Path) -> int:
        measured.append(path)
        return disk_usage(path)

    monkeypatch.setattr(df, "disk_usage", counted)
    monkeypatch.setattr(files, "disk_usage", counted)
    shop.run("df", "-v")
    assert sorted(measured) == sorted(set(measured))
    assert len(measured) == 2
