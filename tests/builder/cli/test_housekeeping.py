import os
from collections.abc import Callable

import pytest

from pybuild.builder.cli.housekeeping import tidy
from pybuild.builder.oci.digest import Digest
from pybuild.builder.prune.policy import is_due
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.store import Store
from tests.builder.cli.conftest import BASE, Shop

LIMITS = '[gc]\nuntil = "1h"\nmax-used-space = "1k"\n'


def after_build(store: Store) -> None:
    if is_due(store.root):
        tidy(store)


def remember(shop: Shop, age: float = 7200) -> None:
    image = shop.image("tiny:1", layers=(BASE,))
    shop.store.cache.put_record(Digest.of(b"key"), image_layers(image))
    shop.store.layout.drop(image.descriptor.digest)
    shop.store.database.run("UPDATE records SET used = used - ?", (age,))


def records(shop: Shop) -> int:
    return len(list(shop.store.cache.records()))


def test_the_cache_is_limited_by_default_which_is_said_once(
    shop: Shop, disk: Callable[[int, int], None], capfd: pytest.CaptureFixture[str]
) -> None:
    remember(shop)
    disk(10**12, 9 * 10**11)
    after_build(shop.store)
    assert (records(shop), capfd.readouterr().err) == (1, "")
    # On a disk that is so small the little that there is is more than a tenth.
    disk(512, 0)
    after_build(shop.store)
    told = capfd.readouterr().err
    assert records(shop) == 0
    assert told.startswith("WARNING: the build cache is limited: removed 1 step results and 0 cache mounts (")
    assert "limits: at most 307B, 102B left free on the disk, 51B always kept; other limits" in told
    remember(shop)
    os.utime(shop.store.root / "locks" / "tidied", (1, 1))
    after_build(shop.store)
    assert (records(shop), capfd.readouterr().err) == (0, "")


def test_an_empty_table_means_no_limits(shop: Shop, disk: Callable[[int, int], None]) -> None:
    remember(shop)
    (shop.store.root / "config.toml").write_text("[gc]\n")
    disk(512, 0)
    after_build(shop.store)
    assert records(shop) == 1


def test_what_a_named_image_needs_stays_whatever_the_limits(shop: Shop, disk: Callable[[int, int], None]) -> None:
    image = shop.image("tiny:1", layers=(BASE,))
    shop.store.cache.put_record(Digest.of(b"key"), image_layers(image))
    disk(512, 0)
    after_build(shop.store)
    assert records(shop) == 1
    assert all(shop.store.blobs.exists(layer.digest) for layer in image.manifest.layers)


def test_df_and_prune_say_how_to_get_the_rest_back(shop: Shop) -> None:
    remember(shop)
    shown = shop.run("df")
    assert '"pybuild prune -a" also removes the build cache' in shown.err
    assert "Build cache limits: at most " in shown.err
    assert shop.run("df", "--format", "{{.Type}}").err == ""
    kept = shop.run("prune", "-f")
    assert kept.lines[-1].startswith("Total reclaimed space: ")
    assert records(shop) == 1
    assert "hint: the build cache has " in kept.err
    assert "pybuild prune -a removes it" in kept.err
    assert shop.run("prune", "-af").err == ""
    assert records(shop) == 0


def test_prune_keeps_the_limits_of_the_store(shop: Shop) -> None:
    remember(shop)
    assert "Deleted build cache records: 0" in shop.run("prune", "-f").lines
    (shop.store.root / "config.toml").write_text('[gc]\nmax-used-space = "10"\n')
    assert "Deleted build cache records: 1" in shop.run("prune", "-f").lines


def test_limits_are_kept_after_a_build_but_not_after_each(shop: Shop) -> None:
    after_build(shop.store)
    (shop.store.root / "config.toml").write_text('[gc]\nuntil = "1h"\n')
    remember(shop)
    after_build(shop.store)
    assert (records(shop), list(shop.store.blobs.digests())) == (0, [])
    remember(shop)
    after_build(shop.store)
    assert records(shop) == 1
    os.utime(shop.store.root / "locks" / "tidied", (1, 1))
    after_build(shop.store)
    assert records(shop) == 0


def test_nothing_goes_while_another_command_removes(shop: Shop) -> None:
    (shop.store.root / "config.toml").write_text('[gc]\nuntil = "1h"\n')
    remember(shop)
    with shop.store.collecting():
        after_build(shop.store)
    assert records(shop) == 1
    after_build(shop.store)
    assert records(shop) == 0


def test_a_mistake_in_the_limits_is_a_warning_after_a_build(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (shop.store.root / "config.toml").write_text('[gc]\nuntil = "soon"\n')
    after_build(shop.store)
    assert "config.toml: until: time: invalid duration" in capfd.readouterr().err
