import os
from pathlib import Path

import pytest

from builder.commands.housekeeping import store_limits, tidy
from builder.commands.prune_flags import policy
from builder.errors import RequestError
from builder.eviction import Policy
from builder.machine import image_layers
from builder.oci.digest import Digest
from tests.builder.commands.conftest import BASE, Shop

LIMITS = '[gc]\nuntil = "1h"\nmax-used-space = "1k"\n'


def remember(shop: Shop, age: float = 7200) -> None:
    image = shop.image("tiny:1", layers=(BASE,))
    shop.machine.cache.put_record(Digest.of(b"key"), image_layers(image))
    shop.machine.layout.drop(image.descriptor.digest)
    shop.machine.database.run("UPDATE records SET used = used - ?", (age,))


def records(shop: Shop) -> int:
    return len(list(shop.machine.cache.records()))


def test_the_limits_of_a_store_are_those_of_prune(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert policy(store_limits(path)).is_empty
    path.write_text(LIMITS)
    assert policy(store_limits(path)) == Policy(until=3600, max_used_space=1024)


@pytest.mark.parametrize("text", ["[gc", "gc = 1", "[gc]\nsize = '1g'", "[gc]\nuntil = 5", "\0"])
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"config\.toml: "):
        store_limits(path)


def test_prune_keeps_the_limits_of_the_store(shop: Shop) -> None:
    remember(shop)
    assert "Deleted build cache records: 0" in shop.run("prune", "-f").lines
    (shop.machine.root / "config.toml").write_text('[gc]\nmax-used-space = "10"\n')
    assert "Deleted build cache records: 1" in shop.run("prune", "-f").lines


def test_limits_are_kept_after_a_build_but_not_after_each(shop: Shop) -> None:
    tidy(shop.machine)
    (shop.machine.root / "config.toml").write_text('[gc]\nuntil = "1h"\n')
    remember(shop)
    tidy(shop.machine)
    assert (records(shop), list(shop.machine.blobs.digests())) == (0, [])
    remember(shop)
    tidy(shop.machine)
    assert records(shop) == 1
    os.utime(shop.machine.root / "locks" / "tidied", (1, 1))
    tidy(shop.machine)
    assert records(shop) == 0


def test_nothing_goes_while_another_builder_is_at_work(shop: Shop) -> None:
    (shop.machine.root / "config.toml").write_text('[gc]\nuntil = "1h"\n')
    remember(shop)
    with shop.machine.in_use():
        tidy(shop.machine)
    assert records(shop) == 1
    tidy(shop.machine)
    assert records(shop) == 0


def test_a_mistake_in_the_limits_is_a_warning_after_a_build(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (shop.machine.root / "config.toml").write_text('[gc]\nuntil = "soon"\n')
    tidy(shop.machine)
    assert "WARNING: --filter until" in capfd.readouterr().err
