"""Flags of ``build`` that give RUN steps something: secrets, SSH agents, entitlements. Mistakes are RequestErrors."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.options import record
from pybuild.builder.request import Changes, Secret, changes
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.values import frozen

_FIELDS = "use id=, src=, env= and type="


@frozen
class StepFlags:
    """Flags that give RUN steps something."""

    secrets: tuple[str, ...] = option(
        "--secret",
        multiple=True,
        metavar="id=ID[,src=FILE|,env=NAME]",
        help="Secret to expose to RUN --mount=type=secret; it is never stored. Repeatable.",
    )
    agents: tuple[str, ...] = option(
        "--ssh",
        multiple=True,
        metavar="ID[=SOCKET|KEY,...]",
        help="SSH agent socket or keys to expose to RUN --mount=type=ssh and to git. Repeatable.",
    )
    allow: tuple[str, ...] = option(
        "--allow",
        multiple=True,
        metavar="NAME",
        help="Allow an extra privileged entitlement: security.insecure or network.host.",
    )

    def request(self, env: Mapping[str, str]) -> Changes:
        """Return the fields of a request for these flags."""
        return changes(
            secrets=tuple(_secret(item, env) for item in self.secrets),
            ssh=tuple((name, paths[0]) for name, paths in _agents(self.agents, env) if _is_socket(paths[0])),
            allow=frozenset(item for given in self.allow for item in given.split(",")),
        )

    def ssh_keys(self, env: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
        """Return files of private keys, by the id of the agent that serves them."""
        return {name: paths for name, paths in _agents(self.agents, env) if not _is_socket(paths[0])}


def _secret(given: str, env: Mapping[str, str]) -> Secret:
    """Return a secret; an id alone means the variable of this name if it is set, else the file."""
    options = record(given, "--secret")
    kind, name = options.pop("type", ""), options.pop("id", "")
    path = options.pop("src", "") or options.pop("source", "")
    variable = options.pop("env", "")
    for key, value in options.items():
        raise RequestError(f"invalid --secret {given!r}: unexpected key '{key}' in '{key}={value}'", hint=_FIELDS)
    if kind not in {"", "file", "env"}:
        raise RequestError(f'invalid --secret {given!r}: unsupported secret type "{kind}"', hint=_FIELDS)
    name = name or Path(path).name
    if not name:
        raise RequestError(f"invalid --secret {given!r}: id is required")
    if kind == "env" or variable or (not kind and not path and name in env):
        return Secret(id=name, variable=variable or path or name)
    return Secret(id=name, file=Path(path or name))


def _agents(given: Iterable[str], env: Mapping[str, str]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Yield (id, paths) for each id: the path of one socket, or paths of keys."""
    ids: set[str] = set()
    for item in given:
        name, _, value = item.partition("=")
        name = name or "default"
        if name in ids:
            raise RequestError(f"invalid --ssh {item!r}: {name} is given twice", hint="list its keys: ID=KEY,KEY")
        ids.add(name)
        yield name, _agent_paths(item, value or env.get("SSH_AUTH_SOCK", ""))


def _agent_paths(item: str, value: str) -> tuple[Path, ...]:
    if not value:
        raise RequestError(
            f"invalid --ssh {item!r}: invalid empty ssh agent socket, make sure SSH_AUTH_SOCK is set",
            hint="start an agent, or name a socket or keys: ID=PATH",
        )
    paths = tuple(Path(path) for path in value.split(","))
    try:
        sockets = sum(_is_socket(path) for path in paths)
    except OSError as error:
        raise RequestError(f"invalid --ssh {item!r}: {error.filename}: {kernel_reason(error)}") from error
    if sockets and len(paths) > 1:
        raise RequestError(
            f"invalid --ssh {item!r}: only single socket allowed", hint="one agent can hold several keys"
        )
    return paths


def _is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.stat().st_mode)
