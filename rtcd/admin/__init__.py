"""Looking after the daemon: its API on a unix socket and by HTTPS, keys and scopes, webhooks."""
