"""Who a client is: long-term credentials, nonces, and where users come from."""
