"""What a build takes from elsewhere: files and archives over HTTP, git repositories, images in layouts of the host."""
