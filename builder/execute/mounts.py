"""The mounts of a RUN as values for the sandbox, with what they need while the command runs: locks and snapshots."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import PurePosixPath
from typing import assert_never

from pybuild.builder.errors import BuildError
from pybuild.builder.execute.cache_mounts import cache_directory, cache_name, reserve
from pybuild.builder.execute.job import Work
from pybuild.builder.plan.ops import BindMount, CacheMount, Run, RunMount, SecretMount, SshMount, TmpfsMount
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.isolation import is_chroot
from pybuild.runtime.sandbox.spec import Bind, BindRoot, FileMount, Mount, Tmpfs


def mounts(op: Run, work: Work, stack: ExitStack) -> tuple[Mount, ...]:
    """Return the mounts of *op* in order; *stack* releases locks and temporary snapshots when the command has ended.

    Raises:
        BuildError: the source of a mount, or a required SSH agent, does not exist.
    """
    scripts = tuple(
        FileMount(target=PurePosixPath(script.path), content=os.fsencode(script.content), mode=0o755)
        for script in op.scripts
    )
    # Locked in one order: two steps that lock the same two mounts in different order would deadlock.
    locked = (mount for mount in op.mounts if isinstance(mount, CacheMount) and mount.sharing == "locked")
    for name in sorted({cache_name(mount) for mount in locked}):
        waiting = partial(work.say, f"waiting for another step that uses the {name}")
        stack.enter_context(work.store.locks.exclusive(name, work.cancel.is_set, waiting))
    if is_chroot():
        reserve((mount for mount in op.mounts if isinstance(mount, CacheMount)), work, stack)
    found = [_mount(mount, work, stack) for mount in op.mounts]
    found += [_agent(mount, target, work, stack) for mount, target in _agents(op)]
    return (*scripts, *(mount for mount in found if mount is not None))


def _mount(mount: RunMount, work: Work, stack: ExitStack) -> Mount | None:
    target = PurePosixPath(mount.target)
    match mount:
        case BindMount():
            root = _tree(mount, work, stack)
            source = PurePosixPath("/", mount.source)
            return BindRoot(root=root, source=source, target=target, read_only=mount.read_only)
        case CacheMount():
            path = cache_directory(mount, work, stack)
            return Bind(host_path=path, target=target, read_only=mount.read_only, movable=True)
        case TmpfsMount():
            return Tmpfs(target=target, size=mount.size, read_only=mount.read_only)
        case SshMount():
            return None  # see `_agent`
        case SecretMount():
            return None  # see `secrets.find_secrets`
        case _:
            assert_never(mount)


def agent_env(op: Run) -> tuple[tuple[str, str], ...]:
    """Return the variable SSH_AUTH_SOCK with the path of the first agent, if *op* mounts one.

    As in BuildKit it is set even when there is no such agent, and an ENV of that name takes precedence.
    """
    targets = [target for _, target in _agents(op)]
    known = any(name == "SSH_AUTH_SOCK" for name, _ in op.env)
    return (("SSH_AUTH_SOCK", targets[0]),) if targets and not known else ()


def _agents(op: Run) -> Iterator[tuple[SshMount, str]]:
    """Yield the mounts of SSH agents with their targets; the default target contains the number of the mount."""
    agents = (mount for mount in op.mounts if isinstance(mount, SshMount))
    for number, mount in enumerate(agents):
        yield mount, mount.target or f"/run/buildkit/ssh_agent.{number}"


def _agent(mount: SshMount, target: str, work: Work, stack: ExitStack) -> Mount | None:
    name = mount.id or "default"
    socket = dict(work.host.ssh).get(name)
    if socket is not None:
        from pybuild.builder.execute.agent import agent_socket

        path = stack.enter_context(agent_socket(socket, mount, work.store.root / "tmp"))
        return Bind(host_path=path, target=PurePosixPath(target))
    if mount.required:
        raise BuildError(f"ssh agent {name}: not found", hint=f"forward one with --ssh {name}")
    return None


def _tree(mount: BindMount, work: Work, stack: ExitStack) -> Root:
    """Return the rootfs of an input. What a command writes to a writable one is discarded when it has ended."""
    layers = work.job.inputs[mount.input]
    if layers is None:
        raise ValueError("a RUN mounts no directory of the host")
    snapshots = work.store.snapshots
    if mount.read_only and layers:
        return work.view(layers)
    active = work.prepare(layers)
    stack.callback(snapshots.discard, active)
    return snapshots.root(active)
