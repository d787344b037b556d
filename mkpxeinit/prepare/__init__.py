"""Makes a tree ready to be a root that many machines share: one file a change."""
