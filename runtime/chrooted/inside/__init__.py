"""What runs in the child of a sandbox that is a chroot."""
