"""From a request to the text of its Dockerfile, wherever that is."""
