"""The part of a sandbox that runs in the child process. Nothing here may trust what it finds in the root."""
