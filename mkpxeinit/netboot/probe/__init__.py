"""What a client would see of the servers, asked from outside: one file a protocol."""
