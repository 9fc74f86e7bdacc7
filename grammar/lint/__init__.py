"""The build checks that the text of a Dockerfile alone decides."""
