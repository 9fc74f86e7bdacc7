"""Programs of other machines: finding, trying and registering their emulators."""
