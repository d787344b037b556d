"""mkpxeinit builds the initrd that boots diskless PXE clients from an installed system tree."""

__version__ = "0.1.0"
