from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.cli.commands.image.run_once import RunFlags, spec
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ContainerConfig
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import Bind, FileMount, Network, Process, Spec, Tmpfs
from tests.builder.cli.conftest import Shop

NAME = ("HOSTNAME", "pybuild")
NAME_FILE = FileMount(target=PurePosixPath("/etc/hostname"), content=b"pybuild\n")
ROOT = DirectoryRoot(path=Path("/nonexistent"))
CONFIG = ContainerConfig(
    env=("PATH=/bin", "A=image"), entrypoint=("/entry",), cmd=("default",), working_dir="/srv", user="alice"
)


def asked(shop: Shop, env: dict[str, str] | None = None, container: ContainerConfig = CONFIG, **flags: object) -> Spec:
    return spec(container, ROOT, RunFlags(**{"image": "box", "words": (), **flags}), env or {})


def test_the_image_says_what_to_run(shop: Shop) -> None:
    assert asked(shop) == Spec(
        root=ROOT,
        process=Process(
            args=("/entry", "default"), env=(("PATH", "/bin"), NAME, ("A", "image")), cwd="/srv", user="alice"
        ),
        mounts=(NAME_FILE,),
        hostname="pybuild",
    )


def test_an_image_gets_no_variable_of_the_host(shop: Shop) -> None:
    container = ContainerConfig(env=("TOKEN",), cmd=("x",))
    assert dict(asked(shop, {"TOKEN": "secret"}, container).process.env)["TOKEN"] == ""
    assert dict(asked(shop, {"TOKEN": "mine"}, container, variables=("TOKEN",)).process.env)["TOKEN"] == "mine"


def test_words_replace_the_command_and_a_new_entrypoint_drops_it(shop: Shop) -> None:
    assert asked(shop, words=("x", "-y")).process.args == ("/entry", "x", "-y")
    assert asked(shop, entrypoint="/other").process.args == ("/other",)
    assert asked(shop, entrypoint="", words=("x",)).process.args == ("x",)
    with pytest.raises(RequestError, match="no command specified"):
        asked(shop, container=ContainerConfig())


def test_variables_come_from_the_image_files_and_flags_in_this_order(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\n\nA=file \nB=file\nFROM_HOST\nUNSET\n")
    env = asked(shop, {"FROM_HOST": "h"}, env_files=(tmp_path / "env",), variables=("B=flag", "UNSET")).process.env
    assert dict(env) == {"PATH": "/bin", "HOSTNAME": "pybuild", "A": "file ", "B": "flag", "FROM_HOST": "h"}
    assert dict(asked(shop, container=ContainerConfig(cmd=("x",))).process.env)["PATH"].endswith(":/bin")


def test_flags_win_over_the_image(shop: Shop) -> None:
    chosen = asked(shop, workdir="/w", user="0", network="none", hostname="h", add_hosts=("a:1.2.3.4",), tty=True)
    assert (chosen.process.cwd, chosen.process.user, chosen.network) == ("/w", "0", Network.NONE)
    assert (chosen.hostname, chosen.hosts) == ("h", (("a", "1.2.3.4"),))
    assert (chosen.interactive, chosen.terminal) == (False, True)


def test_volumes_and_tmpfs_become_mounts(shop: Shop, tmp_path: Path) -> None:
    given = asked(shop, volumes=(f"{tmp_path}:/in", f"{tmp_path}:/ro:ro"), tmpfs=("/t",)).mounts
    assert given == (
        NAME_FILE,
        Bind(host_path=tmp_path, target=PurePosixPath("/in"), read_only=False),
        Bind(host_path=tmp_path, target=PurePosixPath("/ro"), read_only=True),
        Tmpfs(target=PurePosixPath("/t"), executable=False),
    )


def test_a_source_that_is_missing_is_made_as_in_docker(shop: Shop, tmp_path: Path) -> None:
    (mount,) = asked(shop, volumes=(f"{tmp_path}/made/here:/in",)).mounts[1:]
    assert mount == Bind(host_path=tmp_path / "made/here", target=PurePosixPath("/in"), read_only=False)
    assert (tmp_path / "made/here").is_dir()


def test_a_tmpfs_has_its_options(shop: Shop) -> None:
    (mount,) = asked(shop, tmpfs=("/t:size=1m,mode=700,uid=7,exec",)).mounts[1:]
    assert mount == Tmpfs(target=PurePosixPath("/t"), size=1 << 20, mode=0o700, uid=7)


def test_the_name_of_the_host_is_a_variable_and_a_file_unless_the_user_has_others(shop: Shop) -> None:
    chosen = asked(shop, hostname="box")
    assert dict(chosen.process.env)["HOSTNAME"] == "box"
    assert chosen.mounts == (FileMount(target=PurePosixPath("/etc/hostname"), content=b"box\n"),)
    own = asked(shop, volumes=("/etc/passwd:/etc/hostname",), variables=("HOSTNAME=mine",))
    assert dict(own.process.env)["HOSTNAME"] == "mine"
    assert own.mounts == (Bind(host_path=Path("/etc/passwd"), target=PurePosixPath("/etc/hostname"), read_only=False),)


@pytest.mark.parametrize("volume", ["/etc", "name:/x", "/etc:rel", "/etc:/", "/etc:/x:rx", ":/x"])
def test_a_volume_that_cannot_be_is_refused(shop: Shop, volume: str) -> None:
    with pytest.raises(RequestError):
        asked(shop, volumes=(volume,))


@pytest.mark.parametrize("seconds", ["-1", "99999999999"])
def test_a_time_that_no_clock_takes_is_refused(shop: Shop, tmp_path: Path, seconds: str) -> None:
    done = shop.run("run", "--timeout", seconds, "--rootfs", str(tmp_path), "true")
    assert (done.code, f"invalid --timeout {seconds}" in done.err) == (125, True), done.err
