"""The changes that metadata instructions make to an image config, and their texts in the history.

Pure functions over `ContainerConfig`. The rules and texts are those of BuildKit's Dockerfile frontend, because
``docker history`` and ``docker inspect`` of an image must read the same whoever built it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from posixpath import join, normpath

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import DEFAULT_PATH, ContainerConfig, Healthcheck
from pybuild.builder.stages import format_go, windows
from pybuild.grammar.nodes import CommandLine, ExecForm, Heredoc, ShellForm
from pybuild.runtime.values import replace

_DEFAULT_SHELL = ("/bin/sh", "-c")


def split_env(pairs: Iterable[str]) -> dict[str, str]:
    """Return ``NAME=value`` strings as a mapping; the last one of a name wins."""
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def with_env(config: ContainerConfig, name: str, value: str, *, is_new: bool = False) -> ContainerConfig:
    """Set a variable; one that exists keeps its place in the list. One that *is_new* is not looked for."""
    pair = f"{name}={value}"
    kept = config.env if is_new else tuple(pair if item.partition("=")[0] == name else item for item in config.env)
    return replace(config, env=kept if not is_new and pair in kept else (*kept, pair))


def with_default_path(config: ContainerConfig) -> ContainerConfig:
    """Add the default PATH to a config without one."""
    return config if "PATH" in split_env(config.env) else with_env(config, "PATH", DEFAULT_PATH)


def with_labels(config: ContainerConfig, labels: Mapping[str, str]) -> ContainerConfig:
    """Set labels; later ones win. They are sorted by name, so that a new one is inserted quickly."""
    from bisect import bisect_left

    kept = list(config.labels)
    for pair in labels.items():
        place = bisect_left(kept, (pair[0],))
        same = place < len(kept) and kept[place][0] == pair[0]
        kept[place : place + same] = [pair]
    return replace(config, labels=tuple(kept))


def with_names(names: tuple[str, ...], added: Iterable[str]) -> tuple[str, ...]:
    """Return *names*, a sorted set, with those that are *added*: there may be thousands, so it is not sorted again."""
    from bisect import bisect_left

    kept = list(names)
    for name in added:
        index = bisect_left(kept, name)
        if kept[index : index + 1] != [name]:
            kept.insert(index, name)
    return tuple(kept)


def without(config: ContainerConfig, variables: Collection[str], labels: Collection[str]) -> ContainerConfig:
    """Remove variables and labels by name."""
    if not variables and not labels:
        return config
    env = tuple(item for item in config.env if item.partition("=")[0] not in variables)
    return replace(config, env=env, labels=tuple(pair for pair in config.labels if pair[0] not in labels))


def command_args(config: ContainerConfig, command: CommandLine, *, is_windows: bool = False) -> tuple[str, ...]:
    """Return the arguments of *command*: as written in exec form, after the shell in shell form."""
    match command:
        case ExecForm(args):
            return args
        case ShellForm(text):
            return (*(config.shell or (windows.SHELL if is_windows else _DEFAULT_SHELL)), text)


def healthcheck_test(command: CommandLine | None) -> tuple[str, ...]:
    """Return the ``Test`` field of a HEALTHCHECK; None means NONE."""
    match command:
        case None:
            return ("NONE",)
        case ExecForm(args):
            return ("CMD", *args)
        case ShellForm(text):
            return ("CMD-SHELL", text)


def healthcheck_history(check: Healthcheck) -> str:
    """Return the history text of a HEALTHCHECK."""
    times = (
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    )
    shown = " ".join(f"{name}:{format_go.duration(value)}" for name, value in times)
    return f"HEALTHCHECK {{Test:{format_go.plain_list(check.test)} {shown} Retries:{check.retries}}}"


def absolute(working_dir: str, path: str) -> str:
    """Return *path* as an absolute, clean path; a relative one starts from *working_dir*."""
    clean = normpath(join("/", working_dir or "/", path))
    return "/" + clean.lstrip("/")


def working_dir(current: str, path: str) -> str:
    """Return the working directory that WORKDIR *path* sets. Like Docker, an absolute one is kept as it is written.

    An empty *path* changes nothing.
    """
    if not path and current:
        return current
    return path if path.startswith("/") else absolute(current, path)


def destination(working_dir: str, path: str) -> str:
    """Return the destination of a COPY: absolute, with a trailing slash when *path* names a directory."""
    is_directory = path in {"", "."} or path.endswith(("/", "/."))
    clean = absolute(working_dir, path)
    return clean.rstrip("/") + "/" if is_directory else clean


def heredoc_file(doc: Heredoc) -> str:
    """Return the name of the file that *doc* becomes: its own name as a clean path, without directories.

    Raises:
        ResolveError: the name is a path below a directory, which does not exist where the file is made.
    """
    name = absolute("/", doc.name).lstrip("/")
    if name and "/" not in name:
        return name
    hint = "choose a name without /, and write the directory into the destination"
    raise ResolveError(f'invalid file name "{doc.name}" of a heredoc', span=doc.span, hint=hint)


def parse_ports(words: Iterable[str]) -> tuple[str, ...]:
    """Parse the words of EXPOSE into sorted ``port/protocol`` texts. Raises ResolveError for an invalid one."""
    found = {port for word in words for port in _ports(word)}
    return tuple(sorted(found))


def _ports(word: str) -> list[str]:
    spec, _, protocol = word.partition("/")
    protocol = (protocol or "tcp").lower()
    # Docker reads a port as it reads -p: an address and a port of the host may stand before it, and mean nothing here.
    container = spec.rpartition(":")[2]
    if not container:
        raise ResolveError(f"no port specified: {word}<empty>")
    low, dash, high = container.partition("-")
    numbers = [low, high] if dash else [low]
    if not all(n.isascii() and n.isdigit() and len(n) <= 5 and int(n) <= 65535 for n in numbers):
        raise ResolveError(f"invalid containerPort: {container}", hint="a port is a number from 0 to 65535, or a range")
    if int(numbers[-1]) < int(low):
        raise ResolveError(f"invalid range specified for port: {container}")
    if protocol not in {"tcp", "udp", "sctp"}:
        raise ResolveError(f'invalid port: "{word}": invalid proto: {protocol}', hint="use tcp, udp or sctp")
    return [f"{number}/{protocol}" for number in range(int(low), int(numbers[-1]) + 1)]


_SIGNALS = set(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split()
)


def check_signal(text: str) -> str:
    """Return *text* when it names a signal by number or name. Raises ResolveError otherwise."""
    name = text.upper().removeprefix("SIG")
    # The names of Docker's table, which are those of "kill -l".
    realtime = re.fullmatch(r"RT(MIN\+(\d|1[0-5])|MAX-(\d|1[0-4]))", name)
    is_number = text.isascii() and text.isdigit()
    if not (0 < int(text[:9]) <= 64 if is_number else name in _SIGNALS or realtime):
        raise ResolveError(f"invalid signal: {text}", hint="use a name such as SIGTERM or a number from 1 to 64")
    return text
