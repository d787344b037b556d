"""Programs of the tree in the image: their libraries, interpreters and places; nothing is executed."""
