"""The two files of the host."""

from pathlib import Path, PurePosixPath

from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.hostfiles import host_files
from pybuild.runtime.sandbox.spec import FileMount, Process, Spec

ROOT = DirectoryRoot(path=Path("/nowhere"))
PROCESS = Process(args=("true",))


def test_the_resolver_is_the_hosts_and_names_are_added_to_the_hosts_file(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    spec = Spec(root=ROOT, process=PROCESS, hostname="box", hosts=(("db", "10.0.0.9"), ("db", "fd00::9")))
    resolver, hosts = host_files(spec, tmp_path / "resolv.conf")
    assert (str(resolver.target), resolver.content) == ("/etc/resolv.conf", b"nameserver 127.0.0.53\n")
    assert hosts.content.decode().splitlines() == [
        "127.0.0.1\tlocalhost box",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "10.0.0.9\tdb",
        "fd00::9\tdb",
    ]


def test_a_host_without_a_resolver_gives_an_empty_file(tmp_path: Path) -> None:
    assert host_files(Spec(root=ROOT, process=PROCESS), tmp_path / "missing")[0].content == b""


def test_what_the_spec_mounts_itself_is_left_to_it() -> None:
    own = FileMount(target=PurePosixPath("/etc/hosts"), content=b"own")
    assert [str(file.target) for file in host_files(Spec(root=ROOT, process=PROCESS, mounts=(own,)))] == [
        "/etc/resolv.conf"
    ]
