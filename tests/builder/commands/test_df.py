import json

from builder.machine import image_layers
from builder.oci.digest import Digest
from tests.builder.commands.conftest import Shop


def test_the_store_is_told_by_kind(shop: Shop) -> None:
    named = shop.image("tiny:1")
    dangling = shop.image(layers=({"z": b"z" * 3000},))
    shop.machine.cache.put_record(Digest.of(b"one"), image_layers(named))
    shop.machine.cache.put_record(Digest.of(b"two"), image_layers(dangling))
    shop.machine.snapshot(named)
    assert shop.run("df").lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    rows = {row["Type"]: row for row in map(json.loads, shop.run("df", "--format", "json").lines)}
    assert (rows["Images"]["TotalCount"], rows["Images"]["Active"]) == ("2", "1")
    assert (rows["Build Cache"]["TotalCount"], rows["Build Cache"]["Active"]) == ("2", "1")
    assert (rows["Unpacked Layers"]["TotalCount"], rows["Unpacked Layers"]["Active"]) == ("1", "1")
    assert rows["Images"]["Reclaimable"] != "0B (0%)"
    assert rows["Unpacked Layers"]["Reclaimable"] == "0B (0%)"


def test_an_empty_store_takes_nothing(shop: Shop) -> None:
    assert {row["Size"] for row in map(json.loads, shop.run("df", "--format", "json").lines)} == {"0B"}
