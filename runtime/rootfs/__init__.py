"""What a root file system says of itself: its layers, its users, its groups."""
