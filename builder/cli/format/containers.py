"""Containers as rows of a listing, in the format of ``docker ps``."""

import time
from datetime import datetime

from pybuild.builder.cli.format.listing import LabelText, Row
from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.logs import moment_of
from pybuild.builder.containers.names import SHORT
from pybuild.builder.containers.state import State
from pybuild.builder.display.units import human_duration, human_size
from pybuild.builder.networks.membership import read_attached, read_live
from pybuild.builder.networks.values import HOST, NONE, PRIVATE

HEADERS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}
COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
"""Those of the plain table."""
_COMMAND, _MOUNT = 20, 15


def container_row(container: StoredContainer, state: State, *, whole: bool, size: int = 0) -> Row:
    """Return the fields of a container in *state*. With *whole* nothing is shortened; *size* is its disk usage."""
    config = container.config
    created = moment_of(config.created)
    first, *others = config.program.args
    words = " ".join((first, *(f"'{word}'" if " " in word else word for word in others)))
    mounts = [each.name or each.source for each in config.host.mounts if each.kind != "tmpfs"]
    ago = f"{human_duration(max(0.0, time.time() - created))} ago"
    return {
        "ID": config.id if whole else config.id[:SHORT],
        "Names": container.name,
        "Image": config.image,
        "Command": f'"{words if whole else _cut(words, _COMMAND)}"',
        "CreatedAt": datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z"),
        "RunningFor": ago,
        "Ports": _ports(container, state),
        "State": state.status,
        "Status": status_text(state),
        "Size": human_size(size),
        "Labels": LabelText(sorted(config.program.labels)),
        "Mounts": ",".join(sorted(mount if whole else _cut(mount, _MOUNT) for mount in mounts)),
        "LocalVolumes": str(sum(each.kind == "volume" for each in config.host.mounts)),
        "Networks": ",".join(_networks(container)),
    }


def status_text(state: State) -> str:
    """Return ``Up 2 minutes`` and the like."""
    now = time.time()
    if state.status in {"running", "paused"}:
        text = f"Up {human_duration(max(0.0, now - moment_of(state.started)))}"
        return f"{text} (Paused)" if state.status == "paused" else f"{text}{_health(state)}"
    if state.status == "created":
        return "Created"
    ended = human_duration(max(0.0, now - moment_of(state.finished)))
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {ended} ago"
    return f"Exited ({state.exit_code}) {ended} ago" if state.status == "exited" else state.status.title()


def _health(state: State) -> str:
    status = state.health.get("Status") if isinstance(state.health, dict) else None
    return "" if status is None else " (health: starting)" if status == "starting" else f" ({status})"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _ports(container: StoredContainer, state: State) -> str:
    config = container.config
    if not state.runs or config.host.network == HOST or config.host.shares_with:
        return ""
    live = read_live(container.directory)
    if live is None and not config.program.exposed_ports:
        return ""
    from pybuild.builder.networks.document import ports_text

    return ports_text(live, config.program.exposed_ports)


def _networks(container: StoredContainer) -> list[str]:
    attached = sorted(each.name or each.network for each in read_attached(container.directory))
    mode = container.config.host.network
    return [mode] if mode in {HOST, NONE, PRIVATE} else attached
