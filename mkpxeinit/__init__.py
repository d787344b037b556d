"""mkpxeinit builds the initrd that boots diskless PXE clients from an installed system tree.

The names below are its public interface (docs/api.md). They are loaded when they are first used: the command
line imports this package at every start.
"""

TYPE_CHECKING = False  # type checkers know the name; `typing` itself would take a tenth of --version's time

if TYPE_CHECKING:
    from mkpxeinit.api import (
        BuiltImage,
        CheckedMachine,
        ImageEntry,
        ImageOptions,
        ImagePlan,
        MkpxeinitError,
        PlannedEntry,
        UsageError,
        build_image,
        check_image,
        plan_image,
        read_image,
        write_image,
    )

__version__ = "0.1.0"

__all__ = [
    "BuiltImage",
    "CheckedMachine",
    "ImageEntry",
    "ImageOptions",
    "ImagePlan",
    "MkpxeinitError",
    "PlannedEntry",
    "UsageError",
    "__version__",
    "build_image",
    "check_image",
    "plan_image",
    "read_image",
    "write_image",
]

if not TYPE_CHECKING:  # or a name that is not there would be none to a type checker

    def __getattr__(name: str) -> object:
        """Return a public name; https://peps.python.org/pep-0562/."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module("mkpxeinit.api"), name)

    def __dir__() -> list[str]:
        """Return the public names."""
        return sorted(__all__)
