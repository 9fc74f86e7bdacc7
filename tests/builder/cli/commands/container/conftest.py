"""A store with an image for containers, and no container left at its end."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builder.cli.conftest import Shop
from tests.helpers.hosts import need_root, need_small_base
from tests.helpers.waiting import until

LOOP = ("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")


@pytest.fixture
def pen(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    need_root()
    monkeypatch.delenv("PYBUILD_SNAPSHOTTER")
    # What is tested with it is not the network, and that of the host is to stay as it is.
    monkeypatch.setenv("PYBUILD_NETWORK", "host")
    changes = ("-c", "ENV PATH=/bin A=image", "-c", "LABEL of=image", "-c", 'CMD ["echo", "default"]')
    assert shop.run("import", str(need_small_base()), "box", *changes).code == 0
    yield shop
    left = shop.run("ps", "-aq", "--no-trunc").lines
    assert all(shop.run("rm", "-fv", identity).code == 0 for identity in left)
    assert not [identity for identity in left for directory in groups() if (directory / identity).exists()]
    until(lambda: not monitors(shop.store.root))


def groups() -> list[Path]:
    """The directories that the control groups of containers are in."""
    return [path for top in Path("/sys/fs/cgroup").glob("*") if (path := top / "pybuild").is_dir()]


def monitors(root: Path) -> list[str]:
    """Monitors that have something of the store open, and the commands about the store that they have become."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            if os.fsencode(root) in words and name != str(os.getpid()):
                found.append(name)
            elif any(word.endswith(b"monitor/bootstrap.py") for word in words):
                links = [os.readlink(link) for link in Path(f"/proc/{name}/fd").iterdir()]
                found += [name] if any(link.startswith(str(root)) for link in links) else []
        except OSError:
            continue
    return found


def masked(text: str) -> str:
    """*text* without ids and times."""
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", text)
    text = re.sub(r"(Less than a second|About \w+ \w+|\d+ (second|minute)s?)", "TIME", text)
    return re.sub(r" +", " ", text)
