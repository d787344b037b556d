"""What the clients have: PCI classes, modaliases, inventories."""
