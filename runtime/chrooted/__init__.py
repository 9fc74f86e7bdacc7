"""Runs a process after a chroot alone."""
