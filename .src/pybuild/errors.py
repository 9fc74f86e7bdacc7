"""What pybuild raises, below one root: `PybuildError`.

    PybuildError           message, hint, and where the Dockerfile has the mistake: location, span, source
      DockerfileError      the Dockerfile is wrong
      ResolveError         the Dockerfile cannot mean anything: an unknown stage, a bad platform
      RequestError         the request asks the impossible
      StepFailed           a step failed: step, lines, exit_code, output
      PullFailed           a registry did not give what it was asked for
      PushFailed           a registry did not take an image, which stays in the store
      LoadFailed           Docker or podman did not take an image, which stays in the store
      ImageError           an image is damaged, or a registry failed otherwise
        ImageNotFound      no image has this name
      ContainerError       a container cannot do that now, is gone, or has its name from another one
      NetworkError         a network has its name from another one, is in use, or is not there
      StoreError           the store is closed, full, read-only, or no store
      HostError            the kernel, the disk or a file failed
        SandboxUnavailable this host or process permits no sandbox
      Cancelled            the operation was cancelled
      TimedOut             a build took longer than its timeout: steps, those that were running

A failure of another part has its original as ``__cause__``.
"""

from pybuild.builder.api.errors import DockerfileError, HostError, ImageError, ImageNotFound, SandboxUnavailable
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.errors import (
    Cancelled,
    LoadFailed,
    PullFailed,
    PushFailed,
    PybuildError,
    RequestError,
    ResolveError,
    StepFailed,
    StoreError,
    TimedOut,
)
from pybuild.builder.networks.errors import NetworkError

__all__ = [
    "Cancelled",
    "ContainerError",
    "DockerfileError",
    "HostError",
    "ImageError",
    "ImageNotFound",
    "LoadFailed",
    "NetworkError",
    "PullFailed",
    "PushFailed",
    "PybuildError",
    "RequestError",
    "ResolveError",
    "SandboxUnavailable",
    "StepFailed",
    "StoreError",
    "TimedOut",
]
