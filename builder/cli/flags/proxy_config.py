"""``proxies`` of Docker's ``config.json``: build arguments that a user configures once for all builds."""

import json
from collections.abc import Mapping
from pathlib import Path

from pybuild.builder.cli.tools import warn
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT

_MEMBERS = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxy_arguments(arguments: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments of ``proxies.default``, without those that are *arguments* in lower or upper case.

    A file that cannot be read gives a warning and no proxies.
    """
    directory = env.get("DOCKER_CONFIG") or (f"{env['HOME']}/.docker" if env.get("HOME") else "")
    if not directory:
        return {}
    path = Path(directory) / "config.json"
    try:
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_LIMIT)
        if b'"proxies"' not in raw:
            return {}
        proxies = json.loads(raw)["proxies"].get("default", {})
        found = {name: str(proxies[member]) for member, name in _MEMBERS.items() if proxies.get(member)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        warn(f"{path}: cannot be read, its proxies are not used")
        return {}
    known = {name.upper() for name in arguments}
    return {name: value for name, value in found.items() if name not in known}
