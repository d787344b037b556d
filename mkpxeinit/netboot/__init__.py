"""What the servers need to boot clients: one file a server or loader, and what publishes."""
