"""The last steps before the user's program: this process gives up everything it must not keep, and execs."""

import os
from errno import EACCES, EINVAL, ENOENT, ENOTDIR
from stat import S_ISFIFO

from pybuild.runtime.kernel.syscalls import (
    CLOSE_RANGE_CLOEXEC,
    LAST_DESCRIPTOR,
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_SET_NO_NEW_PRIVS,
    capget,
    capset,
    close_range,
    keyctl_join_session_keyring,
    prctl,
    reset_signals,
    scope_abstract_sockets,
    set_seccomp_filter,
    setrlimit,
    take_terminal,
)
from pybuild.runtime.paths.inside import make_directory_inside, open_inside
from pybuild.runtime.rootfs.identity import Identity, resolve_identity
from pybuild.runtime.sandbox.inside.mistakes import ENTERING
from pybuild.runtime.wire import Operation, Record

NOT_FOUND, NOT_EXECUTABLE = 127, 126

CAP_SETUID, CAP_SYS_CHROOT = 7, 18
_DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Confinement(Record):
    """What the process is held to: a seccomp program (b"" for none), resource limits (name, number, soft, hard).

    Of *capabilities* it has those that the builder has.
    """

    __slots__ = ("capabilities", "insecure", "no_new_privileges", "rlimits", "seccomp")

    def __init__(
        self,
        capabilities: int,
        insecure: bool,
        no_new_privileges: bool,
        rlimits: tuple[tuple[bytes, int, int, int], ...],
        seccomp: bytes,
    ) -> None:
        self.capabilities, self.insecure, self.no_new_privileges = capabilities, insecure, no_new_privileges
        self.rlimits, self.seccomp = rlimits, seccomp


class Process(Record):
    """The program to run, as the image sees it. *user_groups* are added to those of the user."""

    # In the order of the constructor.
    __slots__ = ("args", "confinement", "cwd", "env", "user", "user_groups", "oom_score_adj")  # noqa: RUF023

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        args: tuple[bytes, ...],
        confinement: Confinement,
        cwd: bytes,
        env: tuple[tuple[bytes, bytes], ...],
        user: bytes,
        user_groups: tuple[bytes, ...] = (),
        oom_score_adj: int = 0,
    ) -> None:
        self.args, self.env, self.cwd, self.user, self.confinement = args, env, cwd, user, confinement
        self.user_groups, self.oom_score_adj = user_groups, oom_score_adj


def become(
    process: Process, root: int, terminal: int = -1, began: int = -1, *, new_cwd: bool = True, scoped: bool = False
) -> None:
    """Turn this process, which stands in the new *root*, into *process*. Returns only with an exception.

    *terminal* replaces its three streams, -1 leaves them. *began* is told what cannot be executed, -1 for standard
    error. With *new_cwd* a missing working directory is made; with *scoped* it cannot reach abstract sockets of others
    already.

    The order is the kernel's: the filter needs CAP_SYS_ADMIN when no_new_privs stays off, group ids need CAP_SETGID,
    and the user id takes all capabilities with it.
    """
    # Nothing below needs another descriptor by inheritance, so what this code forgot to close is closed by exec.
    close_range(3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC)
    os.setsid()
    os.umask(0o022)
    if terminal >= 0:
        _take_terminal(terminal)
    _set_rlimits(process.confinement)
    _set_oom_score(root, process.oom_score_adj)
    identity = resolve_identity(root, process.user, process.user_groups)
    _enter(root, process.cwd, identity, new=new_cwd)
    _leave_keyring()
    _give_streams(identity.uid)
    confine(process.confinement, identity, scoped=scoped)
    reset_signals()
    _execute(process.args, _environment(process.env, identity), began)


def _take_terminal(terminal: int) -> None:
    with Operation("take terminal"):
        take_terminal(terminal)
        for stream in (0, 1, 2):
            os.dup2(terminal, stream)


def _set_rlimits(confinement: Confinement) -> None:
    for name, number, soft, hard in confinement.rlimits:
        with Operation("set resource limit", name):
            setrlimit(number, soft, hard)


def _set_oom_score(root: int, score: int) -> None:
    if score:
        with Operation("set oom score adj", b"%d" % score):
            # A link of an image leads nowhere: what /proc is was mounted by us.
            file = os.open("proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=root)
            os.write(file, b"%d" % score)
            os.close(file)


def _enter(root: int, cwd: bytes, identity: Identity, *, new: bool) -> None:
    operation = Operation(ENTERING, cwd)
    with operation:
        if new:
            # One that is not there is made for the user, as by BuildKit and runc.
            os.fchdir(make_directory_inside(root, cwd, identity.uid, identity.gid))
        else:
            os.fchdir(open_inside(root, cwd, os.O_PATH | os.O_DIRECTORY))
        # A directory outside of the root has no absolute name; the kernel says "(unreachable)" (CVE-2024-21626).
        if not os.getcwdb().startswith(b"/"):
            raise operation.failed(ENOENT, "it is outside of the root")


def _give_streams(uid: int) -> None:
    """Make the user own the pipes or the terminal of the process, so that /dev/stdout can be opened by name.

    All of them were made for this process. /dev/null, which it may have instead, belongs to everyone.
    """
    for stream in (0, 1, 2):
        if S_ISFIFO(os.fstat(stream).st_mode) or os.isatty(stream):
            try:
                os.fchown(stream, uid, -1)
            except OSError:  # no CAP_CHOWN: the open streams work all the same. An id without meaning fails below.
                continue


def _leave_keyring() -> None:
    # A kernel without keyrings, or an outer filter that refuses them, leaves no keyring to look into either.
    try:
        keyctl_join_session_keyring()
    except OSError:
        return


def _leave_abstract_sockets() -> None:
    # On the host's network those of the host are in reach, and daemons listen there (CVE-2020-15257). An older kernel
    # cannot hide them.
    try:
        scope_abstract_sockets()
    except OSError:
        return


def confine(confinement: Confinement, identity: Identity, *, scoped: bool = False) -> None:
    """Give up groups, capabilities and user id for good."""
    held = capget()[1]
    keep = held & confinement.capabilities
    with Operation("drop privileges"):
        if confinement.no_new_privileges:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        _bound_capabilities(keep)
        if not (confinement.insecure or scoped):
            _leave_abstract_sockets()
        if confinement.seccomp:
            set_seccomp_filter(confinement.seccomp)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    become = Operation("become user", b"%d:%d" % (identity.uid, identity.gid))
    with become:
        try:
            os.setgroups(list(identity.groups))
            os.setresgid(identity.gid, identity.gid, identity.gid)
            # Inheritable stays empty: otherwise files with capabilities would hand them on (CVE-2022-24769).
            becoming = keep | held & 1 << CAP_SETUID
            capset(becoming, becoming, 0)
            os.setresuid(identity.uid, identity.uid, identity.uid)
            # Any user but root has lost all of them by that.
            left = capget()[1] & keep
            capset(left, left, 0)
        except OSError as error:
            if error.errno != EINVAL:
                raise
            raise become.failed(EINVAL, "it is beyond the ids that the builder has here") from None


def give_up_chroot() -> None:
    """Let neither this process nor a program of it call chroot(2), by which a root that was only chosen can be left."""
    effective, permitted, inheritable = capget()
    with Operation("give up chroot"):
        prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT)
        capset(*(held & ~(1 << CAP_SYS_CHROOT) for held in (effective, permitted, inheritable)))


def _bound_capabilities(keep: int) -> None:
    for capability in range(64):
        try:
            held = prctl(PR_CAPBSET_READ, capability)
        except OSError:  # past the last one that this kernel knows
            return
        if held and not keep >> capability & 1:
            prctl(PR_CAPBSET_DROP, capability)


def _environment(env: tuple[tuple[bytes, bytes], ...], identity: Identity) -> dict[bytes, bytes]:
    known = dict(env)
    return known if known.get(b"HOME") else {**known, b"HOME": identity.home}


def _execute(args: tuple[bytes, ...], env: dict[bytes, bytes], began: int) -> None:
    """Exec the first file of this name that the PATH of *env* leads to, or end with 127 or 126 as a shell would."""
    name = args[0] if args else b""
    in_path = b"/" not in name
    directories = env.get(b"PATH", _DEFAULT_PATH).split(b":") if name and in_path else []
    refused: OSError | None = None
    for file in [(directory or b".") + b"/" + name for directory in directories] if in_path else [name]:
        try:
            os.execve(file, args, env)  # noqa: S606 - to run what the image names is the purpose
        except OSError as error:
            # A script whose interpreter is missing gives ENOENT although the file itself is there.
            if error.errno not in {ENOENT, ENOTDIR} or os.path.exists(file):
                refused = refused or error
        except ValueError as error:  # NUL in a text, or "=" in the name of a variable
            raise Operation("execute", name).failed(EINVAL, str(error)) from None
    if refused:
        code = NOT_FOUND if refused.errno == ENOENT else NOT_EXECUTABLE
        _end(name, os.strerror(refused.errno or EACCES).lower(), code, began)
    _end(name, "executable file not found in $PATH" if in_path else "no such file or directory", NOT_FOUND, began)


def _end(name: bytes, reason: str, code: int, began: int) -> None:
    text = b'exec: "%s": %s' % (name, reason.encode())
    if began >= 0:
        os.write(began, b"%d %s" % (code, text))
    else:
        os.write(2, text + b"\n")
    os._exit(code)
