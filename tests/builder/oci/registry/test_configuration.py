from pathlib import Path

import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.configuration import Configuration, merged, read_own, read_registries_conf
from pybuild.builder.oci.registry.mirrors import BY_DIGEST, BY_TAG, Mirror, MirrorRule
from pybuild.builder.oci.registry.wire.certificates import Tls


def test_the_file_of_containers_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.conf").write_text(
        'unqualified-search-registries = ["docker.io"]\n'
        '[[registry]]\nprefix = "a.com/team"\nlocation = "b.com/x/"\ninsecure = true\n'
        '[[registry.mirror]]\nlocation = "m.com"\npull-from-mirror = "tag-only"\n'
        '[[registry.mirror]]\nlocation = "n.com"\ninsecure = true\n'
        '[[registry]]\nlocation = "docker.io"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "o.com"\n'
        '[[registry]]\nlocation = "bad.com"\nblocked = true\n'
    )
    assert read_registries_conf([tmp_path / "r.conf"]).entries == (
        MirrorRule(
            prefix="a.com/team",
            location="b.com/x",
            insecure=True,
            mirrors=(Mirror(location="m.com", pull=BY_TAG), Mirror(location="n.com", insecure=True)),
        ),
        MirrorRule(prefix="docker.io", location="docker.io", mirrors=(Mirror(location="o.com", pull=BY_DIGEST),)),
        MirrorRule(prefix="bad.com", location="bad.com", blocked=True),
    )


def test_a_later_file_replaces_entries_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "1.conf").write_text('[[registry]]\nlocation="a"\n[[registry]]\nlocation="b"\n')
    (tmp_path / "2.conf").write_text('[[registry]]\nlocation="a"\nblocked=true\n')
    found = read_registries_conf([tmp_path / "1.conf", tmp_path / "none.conf", tmp_path / "2.conf"])
    assert found.entries == (MirrorRule(prefix="a", location="a", blocked=True), MirrorRule(prefix="b", location="b"))


def test_our_own_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pybuild.toml"
    path.write_text(
        '[registry."docker.io"]\nmirrors = ["m.com", "c.com/hub"]\n'
        '[registry."a.com:5000"]\nca = ["/ca.pem"]\n'
        '[[registry."a.com:5000".keypair]]\ncert = "/c.pem"\nkey = "/k.pem"\n'
        '[registry."plain"]\nhttp = true\n[registry."any"]\ninsecure = true\n'
    )
    assert read_own([tmp_path / "none", path]) == Configuration(
        entries=(
            MirrorRule(prefix="any", insecure=True),
            MirrorRule(prefix="docker.io", mirrors=(Mirror(location="m.com"), Mirror(location="c.com/hub"))),
        ),
        plain=frozenset({"plain"}),
        tls={"a.com:5000": Tls(authorities=("/ca.pem",), certificate="/c.pem", key="/k.pem")},
    )


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "registry = 3",
        '[[registry]]\nprefix = ""',
        "[[registry]]\nlocation = 3",
        '[[registry]]\nlocation = "a"\ninsecure = "yes"',
        '[[registry]]\nlocation = "a"\n[[registry.mirror]]\n',
        '[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "never"',
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.conf").write_text(text)
    with pytest.raises(RegistryError, match=r"r\.conf: "):
        read_registries_conf([tmp_path / "r.conf"])


def test_a_file_that_is_too_large_is_refused_and_not_read_in_part(tmp_path: Path) -> None:
    (tmp_path / "r.conf").write_text('[[registry]]\nprefix = "a"\n' + "#\n" * (512 * 1024) + "blocked = true\n")
    with pytest.raises(RegistryError, match=r"r\.conf: larger than 1048576 bytes"):
        read_registries_conf([tmp_path / "r.conf"])


@pytest.mark.parametrize("text", ["[registry]\na = 3", '[registry."a"]\nmirrors = "b"', '[registry."a"]\nhttp = 1'])
def test_our_own_file_is_checked_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "pybuild.toml").write_text(text)
    with pytest.raises(RegistryError, match=r"pybuild\.toml: registry\.a"):
        read_own([tmp_path / "pybuild.toml"])


def test_of_two_the_first_counts() -> None:
    first = Configuration(entries=(MirrorRule(prefix="a"),), plain=frozenset({"p"}), tls={"h": Tls(verify=False)})
    second = Configuration(entries=(MirrorRule(prefix="b"),), plain=frozenset({"q"}), tls={"h": Tls(), "i": Tls()})
    both = merged(first, second)
    assert [entry.prefix for entry in both.entries] == ["a", "b"]
    assert both.plain == {"p", "q"}
    assert both.tls == {"h": Tls(verify=False), "i": Tls()}
