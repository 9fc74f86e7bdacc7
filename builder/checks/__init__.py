"""The build checks that need stages, base images or the build context, and the documents about a Dockerfile."""
