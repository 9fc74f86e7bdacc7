"""Single HTTP exchanges: connections, certificates, retries, and what their failures mean."""
