"""The monitor: one small process for each running container, which supervises it and serves the commands."""
