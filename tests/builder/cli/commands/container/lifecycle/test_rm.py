import threading

from tests.builder.cli.commands.container.conftest import masked
from tests.builder.cli.conftest import Shop


def test_one_that_runs_is_removed_by_force_only(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    refused = pen.run("rm", "one")
    assert refused.code == 1
    assert refused.err == (
        'ERROR: cannot remove container "/one": container is running: stop the container before removing or force remove\n'
    )
    assert pen.run("rm", "-f", "one").out == "one\n"
    assert pen.run("rm", "one").err == "ERROR: No such container: one\n"
    assert pen.run("rm", "-f", "one").code == 0
    assert list((pen.store.root / "containers/names").iterdir()) == []
    assert [path.name for path in (pen.store.root / "containers").iterdir()] == ["names"]


def test_containers_are_named_by_the_start_of_their_id(pen: Shop) -> None:
    identity = pen.run("create", "--name", "one", "box").out.strip()
    assert pen.run("rename", identity[:5], "two").code == 0
    assert pen.run("rename", "two", "two").code == 1
    assert pen.run("ps", "-a", "--format", "{{.Names}}").out == "two\n"
    assert pen.run("rm", identity[:12]).out == f"{identity[:12]}\n"


def test_prune_leaves_what_runs(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    pen.run("run", "--name", "two", "-l", "keep=1", "box", "true")
    pen.run("create", "--name", "three", "box")
    assert pen.run("container", "prune", "-f", "--filter", "label=keep").lines[0] == "Deleted Containers:"
    assert masked(pen.run("container", "prune", "-f").out).startswith(
        "Deleted Containers:\nID\n\nTotal reclaimed space: "
    )
    assert pen.run("ps", "-a", "--format", "{{.Names}}").out == "one\n"
    assert pen.run("container", "prune", "-f").out == "Total reclaimed space: 0B\n"


def test_an_image_in_use_is_not_removed(pen: Shop) -> None:
    identity = pen.run("create", "--name", "one", "box").out.strip()[:12]
    image = pen.run("images", "-q").out.strip()
    by_name, by_id = pen.run("rmi", "box"), pen.run("rmi", image)
    assert (by_name.code, by_id.code) == (1, 1)
    assert f'unable to remove repository reference "box" (must force) - container {identity} is using' in by_name.err
    assert f"(must be forced) - image is being used by stopped container {identity}" in by_id.err
    pen.run("start", "one")
    pen.run("wait", "one")
    assert pen.run("rmi", "-f", "box").code == 0
    assert pen.run("prune", "-a", "-f").code == 0
    assert pen.run("start", "-a", "one").out == "default\n"
    pen.run("rm", "one")
    assert pen.run("prune", "-a", "-f").code == 0
    assert not list((pen.store.root / "snapshots").glob("sha256-*"))


def test_removals_and_builds_go_on_beside_containers(pen: Shop, tmp_path: object) -> None:
    for number in range(5):
        assert pen.run("run", "-d", "--name", f"c{number}", "box", "sleep", "1000").code == 0
    ended = threading.Event()
    with open(f"{tmp_path}/Dockerfile", "w", encoding="ascii") as file:
        file.write("FROM box\nRUN echo x > /x\n")
    assert pen.run("build", "-t", "built", str(tmp_path)).code == 0
    assert pen.run("rmi", "built").code == 0
    assert pen.run("prune", "-a", "-f").code == 0
    ended.set()
    assert len(pen.run("ps", "-q").lines) == 5
    assert pen.run("exec", "c3", "cat", "/etc/motd").out == "welcome\n"


def test_the_database_knows_nothing_of_containers(pen: Shop) -> None:
    pen.run("run", "--name", "one", "box", "true")
    pen.run("volume", "create", "data")
    pen.store.close()
    for path in pen.store.root.glob("pybuild.db*"):
        path.unlink()
    assert pen.run("ps", "-a", "--format", "{{.Names}}").out == "one\n"
    assert pen.run("volume", "ls", "-q").out == "data\n"
    assert pen.run("start", "one").code == 0
