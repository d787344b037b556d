"""What the clients have: PCI classes so far."""
