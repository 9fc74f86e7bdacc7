"""Other tools, such as skopeo and podman, with a home of their own, so that nothing of this host's settings counts."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What runs them; *directory* is their home."""

    directory: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Their whole environment."""
        return {
            **os.environ,
            "HOME": str(self.directory),
            "CONTAINERS_REGISTRIES_CONF": str(self.directory / "none.conf"),
        }

    def output(self, *command: str) -> str:
        """Run a command, which must succeed, and return what it printed."""
        done = subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout
