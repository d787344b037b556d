"""What package managers call when a kernel comes or goes: docs/hooks.md."""
