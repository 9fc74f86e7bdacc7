"""One small process for each running container, and what it does for the commands that ask it."""
