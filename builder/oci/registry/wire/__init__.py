"""Single HTTP requests: connections, certificates, retries, and errors."""
