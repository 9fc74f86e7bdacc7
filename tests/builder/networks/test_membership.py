from pathlib import Path

import pytest

from pybuild.builder.networks.membership import (
    all_live,
    attached_text,
    forget_live,
    is_live,
    read_attached,
    read_live,
    write_attached,
    write_live,
)
from pybuild.builder.networks.values import Endpoint, Live, Membership, PublishedPort


def test_what_is_written_is_read(tmp_path: Path) -> None:
    place = tmp_path / "containers" / "c"
    place.mkdir(parents=True)
    assert read_attached(place) == ()
    attached = (Membership(network="n", name="one", aliases=("a", "b"), ip="10.1.2.3"),)
    write_attached(place, attached)
    assert read_attached(place) == attached
    assert (place / "networks.json").read_text(encoding="utf-8") == attached_text(attached)
    live = Live(
        boot="b",
        space="s",
        container="c",
        endpoints=(Endpoint(id="e", network="n", name="one", interface="eth0", aliases=("a",)),),
        ports=(PublishedPort(container_port=80, host_port=8080),),
    )
    assert read_live(place) is None
    assert not is_live(place)
    write_live(place, live)
    assert read_live(place) == live
    assert all_live(tmp_path) == [live]
    forget_live(place)
    assert all_live(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_file_that_a_crash_cut_off_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "network-up.json").write_text(text, encoding="utf-8")
    (tmp_path / "networks.json").write_text(text, encoding="utf-8")
    assert read_live(tmp_path) is None
    assert read_attached(tmp_path) == ()
