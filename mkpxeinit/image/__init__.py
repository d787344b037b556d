"""The image: its entries, their plan, and how it is written."""
