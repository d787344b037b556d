"""The errors that are raised on purpose; `cli` alone turns them into text and an exit code."""


class MkpxeinitError(Exception):
    """Base of all of them. The message names the file, the cause, and the way out, in one line."""


class UsageError(MkpxeinitError):
    """An option's value makes no sense (exit code 2)."""


class SysrootError(MkpxeinitError):
    """The system tree lacks something, or something in it cannot be read."""


class KernelError(MkpxeinitError):
    """What a kernel release says about its modules is missing, damaged, or not enough."""


class HardwareError(MkpxeinitError):
    """What an inventory of hardware says cannot be read, or is of no use."""


class ProgramError(MkpxeinitError):
    """A program for the image is missing, or cannot run in it."""


class PrepareError(MkpxeinitError):
    """The tree cannot be prepared, or what was prepared cannot be taken back."""


class ImageError(MkpxeinitError):
    """The image cannot be written, or cannot be read."""


class ServerError(MkpxeinitError):
    """What is said of the servers and their clients is wrong, contradicts itself, or cannot be written."""


class PublishError(MkpxeinitError):
    """What is to be served cannot be published, or is not what it has to be."""


class HookError(MkpxeinitError):
    """A hook of a package manager cannot be installed, or cannot do its work."""


def printable(text: object) -> str:
    """Return `text` on one line, without control characters: names from a sysroot may hold any."""
    line = str(text)
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def os_cause(error: OSError) -> str:
    """Return the cause without the file name and number that str() would add."""
    return error.strerror or type(error).__name__
