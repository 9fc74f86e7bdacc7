"""Images made of other images without a build, and images compared."""
