import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks.programs import Forward, carrier, name_server_versions, resolv_conf_in


def put(place: Path, *names: str) -> str:
    place.mkdir(exist_ok=True)
    for name in names:
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    return os.fspath(place)


def test_pasta_comes_first_and_forwards_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = put(tmp_path / "bin", "passt", "slirp4netns")
    (tmp_path / "bin" / "pasta").symlink_to("passt")
    monkeypatch.setenv("PATH", place)
    found = carrier(b"nameserver 127.0.0.53\n")
    assert found is not None
    # The file behind the link, and the name by which it knows its task.
    assert (found.file, found.words[0]) == (f"{place}/passt", f"{place}/pasta")
    assert [found.words[found.words.index(way) + 1] for way in ("-t", "-u", "-T", "-U")] == ["none"] * 4
    assert "--no-map-gw" in found.words
    assert (found.resolver, found.words[-3:]) == ("169.254.1.1", ("--dns-forward", "169.254.1.1", "{pid}"))


def test_slirp4netns_is_closed_to_the_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", put(tmp_path / "bin", "slirp4netns"))
    found = carrier(b"")
    assert found is not None
    assert "--disable-host-loopback" in found.words
    assert found.resolver == "10.0.2.3"
    monkeypatch.setenv("PATH", put(tmp_path / "empty"))
    assert carrier(b"") is None


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        (b"", ()),
        (b"# nameserver 1.1.1.1\nnameserver\nnameserver nonsense\n", ()),
        (b"nameserver ::1\nnameserver 9.9.9.9\n", (6, 4)),
        (b"nameserver fe80::1%eth0\n", (6,)),
        (b"\xff\xfe\nnameserver 9.9.9.9", (4,)),
    ],
)
def test_the_first_name_server_decides_the_version(text: bytes, versions: tuple[int, ...]) -> None:
    assert name_server_versions(text) == versions


def test_domains_and_options_of_the_host_are_kept() -> None:
    of_host = b"nameserver 127.0.0.53\nsearch a.example b.example\noptions ndots:2\n# comment\nsortlist x\n"
    assert resolv_conf_in("169.254.1.1", of_host) == (
        b"nameserver 169.254.1.1\nsearch a.example b.example\noptions ndots:2\n"
    )
    assert resolv_conf_in("", b"") == b""


def test_ports_of_the_host_lead_inside_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards = [
        Forward(protocol="tcp", host_ip="", host_port=8080, port=80),
        Forward(protocol="tcp", host_ip="127.0.0.1", host_port=8081, port=81),
    ]
    monkeypatch.setenv("PATH", put(tmp_path / "bin", "pasta"))
    found = carrier(b"", forwards)
    assert found is not None
    words = " ".join(found.words)
    assert "-t 8080:80 -t 127.0.0.1/8081:81 -u none -T none -U none" in words
    with pytest.raises(SandboxUnavailable, match="pasta forwards no sctp"):
        carrier(b"", [Forward(protocol="sctp", host_ip="", host_port=1, port=1)])


def test_slirp4netns_forwards_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", put(tmp_path / "bin", "slirp4netns"))
    with pytest.raises(SandboxUnavailable, match="need pasta"):
        carrier(b"", [Forward(protocol="tcp", host_ip="", host_port=8080, port=80)])
