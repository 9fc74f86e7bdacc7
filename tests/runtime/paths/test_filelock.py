"""Locks between processes, and the sweep of what nobody holds."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pybuild.runtime.paths import filelock
from pybuild.runtime.paths.filelock import (
    exclusive,
    make_locked_directory,
    make_locked_file,
    remove_tree,
    shared,
    sweep,
)
from tests.helpers.hosts import need_root


def remove(path: Path) -> None:
    directory = os.open(path.parent, os.O_PATH)
    try:
        remove_tree(directory, path.name)
    finally:
        os.close(directory)


def is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_an_exclusive_lock_keeps_everybody_else_out(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock"):
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")


def test_readers_share_a_lock_that_a_writer_cannot_have(tmp_path: Path) -> None:
    with shared(tmp_path / "lock"), shared(tmp_path / "lock"):
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")


def test_threads_take_their_turns(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(50):
            with exclusive(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pybuild.runtime.paths.filelock import *\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert not is_free(tmp_path / "lock")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with exclusive(tmp_path / "lock") as lock:
            assert os.fstat(lock).st_mode & 0o777 == 0o600


def test_a_lock_file_may_be_removed_by_its_holder_while_others_wait(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order = []

    def wait() -> None:
        with exclusive(path) as lock:
            order.append(os.path.samestat(os.fstat(lock), path.stat()))

    with exclusive(path):
        thread = threading.Thread(target=wait)
        thread.start()
        path.unlink()
    thread.join()
    assert order == [True]


def test_a_lock_file_is_never_a_link_to_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), exclusive(tmp_path / "lock"):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_sweep_removes_what_nobody_holds_and_leaves_the_rest(tmp_path: Path) -> None:
    directory, directory_lock = make_locked_directory(tmp_path, "tmp-")
    file, file_lock = make_locked_file(tmp_path, "tmp-")
    (tmp_path / "tmp-dead/deep/deeper").mkdir(parents=True)
    (tmp_path / "tmp-dead/deep/file").touch()
    (tmp_path / "tmp-deadfile").touch()
    (tmp_path / "keep").mkdir()
    assert sorted(sweep(tmp_path, "tmp-")) == ["tmp-dead", "tmp-deadfile"]
    assert sorted(tmp_path.iterdir()) == sorted([directory, file, tmp_path / "keep"])
    os.close(directory_lock)
    os.close(file_lock)
    assert len(sweep(tmp_path, "tmp-")) == 2
    assert sweep(tmp_path, "tmp-") == []


def test_a_sweep_takes_no_link_and_no_fifo(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "tmp-link").symlink_to("victim")
    os.mkfifo(tmp_path / "tmp-fifo")
    assert sweep(tmp_path, "tmp-") == []
    assert (tmp_path / "victim").is_dir()


@pytest.mark.parametrize("make", [make_locked_directory, make_locked_file])
def test_what_a_sweep_took_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: "type[make_locked_directory]"
) -> None:
    genuine = filelock._flock_new
    taken = []

    def late(lock: int, path: Path) -> bool:
        if not taken:
            taken.extend(sweep(tmp_path, "tmp-"))
        return genuine(lock, path)

    monkeypatch.setattr(filelock, "_flock_new", late)
    path, lock = make(tmp_path, "tmp-")
    os.close(lock)
    assert len(taken) == 1
    assert path.exists()
    assert path.name not in taken


def test_parallel_makers_and_sweepers_lose_nothing_that_is_held(tmp_path: Path) -> None:
    done = threading.Event()

    def clean() -> None:
        while not done.is_set():
            sweep(tmp_path, "tmp-")

    sweeper = threading.Thread(target=clean)
    sweeper.start()
    lost = []
    for _ in range(200):
        path, lock = make_locked_directory(tmp_path, "tmp-")
        (path / "inside").touch()
        if not path.exists():
            lost.append(path)
        os.close(lock)
    done.set()
    sweeper.join()
    sweep(tmp_path, "tmp-")
    assert (lost, list(tmp_path.iterdir())) == ([], [])


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").touch()
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/a/link").symlink_to(tmp_path / "victim")
    (tmp_path / "tree/abs").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "tree/fifo")
    remove(tmp_path / "tree")
    remove(tmp_path / "tree")
    assert os.listdir(tmp_path) == ["victim"]
    assert os.listdir(tmp_path / "victim") == ["file"]


def test_a_single_file_or_link_is_removed_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    remove(tmp_path / "link")
    assert os.listdir(tmp_path) == ["file"]
    remove(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_a_tree_deeper_than_paths_descriptors_and_the_stack_allow_is_removed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    current = os.open(tmp_path / "tree", os.O_PATH)
    for depth in range(1500):
        os.mkdir("deep", dir_fd=current)
        # Names that the removal itself would choose are in the way.
        os.close(os.open(f".{depth}", os.O_CREAT | os.O_WRONLY, dir_fd=current))
        inner = os.open("deep", os.O_PATH, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)
    remove(tmp_path / "tree")
    assert os.listdir(tmp_path) == []


def test_an_ordinary_user_can_remove_directories_of_its_own_whatever_their_mode(tmp_path: Path) -> None:
    need_root()
    tree = tmp_path / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/c/file").touch()
    for path in [tmp_path, tree, tree / "a", tree / "a/b", tree / "a/b/c", tree / "a/b/c/file"]:
        os.chown(path, 65534, 65534)
    for path in [tree / "a/b/c", tree / "a/b", tree / "a", tree]:
        path.chmod(0)
    program = (
        "import os, sys; from pybuild.runtime.paths.filelock import remove_tree\n"
        "top = os.open('.', os.O_PATH); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "remove_tree(top, 'tree')"
    )
    source = str(Path(filelock.__file__).parents[3])
    environment = {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert os.listdir(tmp_path) == []
