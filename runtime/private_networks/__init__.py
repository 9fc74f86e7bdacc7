"""Private networks: a network namespace with a program of user space that carries its connections."""
