"""Groups of flags: each module declares options and turns their values into values of a request."""
