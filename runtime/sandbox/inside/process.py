"""The last steps before the user's program: the process enters its directory, drops its privileges, and execs."""

import os
from errno import EACCES, EINVAL, ENOENT, ENOTDIR
from stat import S_ISFIFO

from pybuild.runtime.kernel.syscalls import (
    CLOSE_RANGE_CLOEXEC,
    LAST_DESCRIPTOR,
    close_range,
    keyctl_join_session_keyring,
    reset_signals,
    setrlimit,
    take_terminal,
)
from pybuild.runtime.paths.in_root import make_directory_inside, open_inside
from pybuild.runtime.records import Operation, Record
from pybuild.runtime.rootfs.identity import Identity, resolve_identity
from pybuild.runtime.sandbox.inside.command_errors import ENTERING
from pybuild.runtime.sandbox.inside.privileges import Confinement, confine

NOT_FOUND, NOT_EXECUTABLE = 127, 126

_DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Process(Record):
    """The program to run; paths and the user are those of the image. *user_groups* are added to those of the user."""

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
    process: Process,
    root: int,
    terminal: int = -1,
    exec_channel: int = -1,
    *,
    new_cwd: bool = True,
    scoped: bool = False,
) -> None:
    """Execute *process* in place of this one, whose root is *root*. Returns only with an exception.

    *terminal* replaces the three streams, -1 leaves them as they are. The reason why the program cannot be executed is
    written to *exec_channel*, -1 for standard error. With *new_cwd* a missing working directory is made. With *scoped*
    the caller has put abstract sockets of other processes out of reach already.

    The kernel dictates the order: a filter without no_new_privs needs CAP_SYS_ADMIN, changes of groups need CAP_SETGID,
    and setting the user id drops all capabilities.
    """
    # The program inherits its three streams only, even if a descriptor was left open by mistake.
    close_range(3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC)
    # A session of its own: the caller's terminal is not in it (CVE-2017-5226), and only its leader may take one
    # (TIOCSCTTY in ioctl_tty(2)).
    os.setsid()
    # That of runc, whatever the umask of the user who builds is: layers must not depend on it.
    os.umask(0o022)
    if terminal >= 0:
        _take_terminal(terminal)
    # To raise a hard limit, or to lower the score, takes CAP_SYS_RESOURCE (getrlimit(2), proc(5)).
    _set_rlimits(process.confinement)
    _set_oom_score(root, process.oom_score_adj)
    identity = resolve_identity(root, process.user, process.user_groups)
    _enter(root, process.cwd, identity, new=new_cwd)
    # Before the filter, which refuses keyctl(2).
    _join_new_keyring()
    # Before the capabilities go, since this takes CAP_CHOWN.
    _give_streams(identity.uid)
    confine(process.confinement, identity, scoped=scoped)
    # All signals are blocked until here, and exec(2) keeps which ones are blocked or ignored.
    reset_signals()
    _execute(process.args, _environment(process.env, identity), exec_channel)


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
            # No symlink of the image can be in this path: /proc was mounted by the sandbox.
            file = os.open("proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=root)
            os.write(file, b"%d" % score)
            os.close(file)


def _enter(root: int, cwd: bytes, identity: Identity, *, new: bool) -> None:
    operation = Operation(ENTERING, cwd)
    with operation:
        if new:
            # BuildKit and runc make a missing one as well, and give it to the user.
            os.fchdir(make_directory_inside(root, cwd, identity.uid, identity.gid))
        else:
            os.fchdir(open_inside(root, cwd, os.O_PATH | os.O_DIRECTORY))
        # A directory outside of the root has no absolute name; the kernel says "(unreachable)" (CVE-2024-21626).
        if not os.getcwdb().startswith(b"/"):
            raise operation.failed(ENOENT, "it is outside of the root")


def _give_streams(uid: int) -> None:
    """Make the user own the pipes or the terminal of the process, so that /dev/stdout can be opened by name.

    That changes nothing for others, because pipes and terminal were made for this process. /dev/null stays as it is.
    """
    for stream in (0, 1, 2):
        if S_ISFIFO(os.fstat(stream).st_mode) or os.isatty(stream):
            try:
                os.fchown(stream, uid, -1)
            except OSError:  # no CAP_CHOWN: the open streams still work. An id that is not mapped (EINVAL) fails later.
                continue


def _join_new_keyring() -> None:
    try:
        keyctl_join_session_keyring()
    except OSError:
        # A kernel without keyrings has none to protect. A container's filter that refuses this call also refuses the
        # program the calls to read a keyring.
        return


def _environment(env: tuple[tuple[bytes, bytes], ...], identity: Identity) -> dict[bytes, bytes]:
    # An empty $HOME counts as none, as with runc.
    known = dict(env)
    return known if known.get(b"HOME") else {**known, b"HOME": identity.home}


def _execute(args: tuple[bytes, ...], env: dict[bytes, bytes], exec_channel: int) -> None:
    """Execute the program, looked up in the PATH of *env* if it has no slash; or end with 127 or 126, as a shell does.

    A file that cannot be executed does not end the search, but is what the message is about if nothing else is found.
    """
    name = args[0] if args else b""
    in_path = b"/" not in name
    # An empty part of $PATH is the working directory, as for execvp(3).
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
        _end(name, os.strerror(refused.errno or EACCES).lower(), code, exec_channel)
    _end(
        name, "executable file not found in $PATH" if in_path else "no such file or directory", NOT_FOUND, exec_channel
    )


def _end(name: bytes, reason: str, code: int, exec_channel: int) -> None:
    text = b'exec: "%s": %s' % (name, reason.encode())
    if exec_channel >= 0:
        os.write(exec_channel, b"%d %s" % (code, text))
    else:
        os.write(2, text + b"\n")
    os._exit(code)
