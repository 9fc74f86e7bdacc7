"""The content that steps read: the build context, selections of files, and their digests."""
