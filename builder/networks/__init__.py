"""Networks that containers are on."""
