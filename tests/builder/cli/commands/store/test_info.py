"""The store and the host, in Docker's fields."""

import json
import os
import shutil

from tests.builder.cli.conftest import Shop


def test_the_fields_of_docker(shop: Shop) -> None:
    shop.image("tiny:1", "tiny:2")
    facts = json.loads(shop.run("info", "--format", "json").out)
    assert (facts["Images"], facts["Containers"], facts["ContainersRunning"]) == (1, 0, 0)
    assert facts["MemTotal"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert (facts["OSType"], facts["DockerRootDir"]) == ("linux", str(shop.store.root))
    assert facts["Plugins"]["Network"] == ["bridge", "host", "ipvlan", "macvlan", "null"]
    assert facts["CgroupVersion"] in {"1", "2"}
    assert shop.run("info", "-f", "{{.Driver}} {{.NCPU}}").out == f"overlay2 {len(os.sched_getaffinity(0))}\n"
    assert shop.run("system", "info").lines[:5] == [
        *("Containers: 0", " Running: 0", " Paused: 0", " Stopped: 0", "Images: 1")
    ]
    assert shop.run("info", "-f", "{{.Nonsense}}").code != 0


def test_a_store_of_whole_copies_has_dockers_driver_for_that(shop: Shop) -> None:
    (shop.store.root / "trees-0123").mkdir()
    for path in shop.store.root.glob("snapshots*"):
        shutil.rmtree(path)
    (shop.store.root / "snapshots").mkdir()
    assert shop.run("info", "-f", "{{.Driver}}").out == "vfs\n"
    (shop.store.root / "snapshots" / "one").mkdir()
    assert shop.run("info", "-f", "{{.Driver}}").out == "overlay2\n"
