"""Flags of ``docker run`` that cannot be kept: with a warning, or refused."""

import click

from pybuild.builder.cli.failures import RUN, Described, Failure, describe
from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError

_WITHOUT_EFFECT = {
    "--blkio-weight-device": "no scheduler of this kernel has weights for devices",
    "--cpu-rt-period": "the kernels of distributions have no real-time groups",
    "--cpu-rt-runtime": "the kernels of distributions have no real-time groups",
    "--kernel-memory": "the kernel has no such limit any more",
    "--cpu-count": "it is about Windows",
    "--cpu-percent": "it is about Windows",
    "--io-maxbandwidth": "it is about Windows",
    "--io-maxiops": "it is about Windows",
}
_REFUSED = {
    "--link-local-ip": "networks have one address for each container",
    "--device-cgroup-rule": "devices are given by --device; no devices cgroup is used",
    "--storage-opt": "what a container writes has no limit of its own",
    "--use-api-socket": "there is no daemon whose socket could be used",
}
_ONLY = {"--runtime": ("runc", "there is one runtime"), "--volume-driver": ("local", "there is one volume driver")}


def add_unsupported_container_flags(function: "click.decorators.FC") -> "click.decorators.FC":
    """Add flags of ``docker run`` that cannot be kept, hidden from the help: with a warning, or refused."""
    for name in (*_WITHOUT_EFFECT, *_REFUSED, *_ONLY):
        function = click.option(name, multiple=True, hidden=True, expose_value=False, callback=_look)(function)
    return click.option("--disable-content-trust", is_flag=True, hidden=True, expose_value=False)(function)


def _look(_ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    name, given = parameter.opts[0], tuple(filter(None, value))
    if not given:
        return
    if name in _WITHOUT_EFFECT:
        warn(f"{name} is not kept: {_WITHOUT_EFFECT[name]}")
        return
    only, reason = _ONLY.get(name, ("", _REFUSED.get(name, "")))
    if any(each != only for each in given):
        error = RequestError(f"{name} {given[0]} is not supported: {reason}", hint=f"leave out {name}")
        raise Described(Failure(describe(error).text, RUN)) from error
