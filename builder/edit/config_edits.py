"""Edits of the config of an existing image: values to set and values to remove.

Lists and maps take ``NAME=VALUE`` to set one, ``NAME-`` to remove one and ``-`` to remove all, as buildah config does.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.stages import config as rules
from pybuild.grammar.nodes import CommandLine, ExecForm, ShellForm
from pybuild.runtime.values import frozen


@frozen
class ConfigEdits:
    """Edits of the container config; None keeps a value, an empty string removes it."""

    env: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str | None = None
    workdir: str | None = None
    stop_signal: str | None = None
    entrypoint: str | None = None
    cmd: str | None = None


def configured(config: ContainerConfig, settings: ConfigEdits) -> ContainerConfig:
    """Return *config* after *settings*. Raises RequestError, or ResolveError for a bad port or signal."""
    if settings.env:
        variables = edited(rules.split_env(config.env), settings.env, "--env")
        config = replace(config, env=tuple(f"{name}={value}" for name, value in variables.items()))
    if settings.labels:
        config = replace(config, labels=tuple(edited(dict(config.labels), settings.labels, "--label").items()))
    return replace(
        _set_commands(config, settings),
        exposed_ports=_members(config.exposed_ports, settings.expose, _ports),
        volumes=_members(config.volumes, settings.volumes, _volume),
        user=config.user if settings.user is None else settings.user,
        working_dir=_workdir(config, settings.workdir),
        stop_signal=_signal(config, settings.stop_signal),
    )


def edited(current: Mapping[str, str], words: Iterable[str], flag: str) -> dict[str, str]:
    """Return *current* after *words* such as ``NAME=VALUE``, ``NAME-`` and ``-``. Raises RequestError."""
    result = dict(current)
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name:
            result[name] = value
        elif word == "-":
            result.clear()
        elif not equals and word.endswith("-"):
            result.pop(word[:-1], None)
        else:
            hint = "write it as NAME=VALUE, as NAME- to remove one, or as - to remove all"
            raise RequestError(f"invalid {flag} {word!r}", hint=hint)
    return result


def _members(current: tuple[str, ...], words: Iterable[str], names: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    found = set(current)
    for word in words:
        if word == "-":
            found.clear()
        elif word.endswith("-"):
            found.difference_update(names(word[:-1]))
        else:
            found.update(names(word))
    return tuple(sorted(found))


def _ports(word: str) -> tuple[str, ...]:
    return rules.parse_ports([word])


def _volume(word: str) -> tuple[str, ...]:
    if not word.startswith("/"):
        raise RequestError(f"invalid --volume {word!r}: expected an absolute path")
    return (word,)


def _workdir(config: ContainerConfig, path: str | None) -> str:
    if not path:
        return config.working_dir if path is None else ""
    return rules.working_dir(config.working_dir, path)


def _signal(config: ContainerConfig, text: str | None) -> str:
    if not text:
        return config.stop_signal if text is None else ""
    return rules.check_signal(text)


def _set_commands(config: ContainerConfig, settings: ConfigEdits) -> ContainerConfig:
    """Set entrypoint and command; as in a Dockerfile, a new entrypoint removes the command of the old one."""
    if settings.entrypoint is not None:
        config = replace(config, entrypoint=_command(config, "--entrypoint", settings.entrypoint), cmd=None)
    if settings.cmd is not None:
        config = replace(config, cmd=_command(config, "--cmd", settings.cmd))
    return config


def _command(config: ContainerConfig, flag: str, text: str) -> tuple[str, ...] | None:
    if not text.strip():
        return None
    form: CommandLine = ExecForm(_array(flag, text)) if text.lstrip().startswith("[") else ShellForm(text)
    return rules.command_args(config, form)


def _array(flag: str, text: str) -> tuple[str, ...]:
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise RequestError(f"invalid {flag} {text!r}", hint='write a JSON array such as ["program", "argument"]')
    return tuple(words)
