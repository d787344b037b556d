"""What one kernel release of a system tree offers."""
