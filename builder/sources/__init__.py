"""The sources of a build: base images, files and archives over HTTP, git repositories, OCI layouts of the host."""
