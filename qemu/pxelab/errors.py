"""What pxelab raises on purpose."""


class LabError(Exception):
    """Something in the laboratory failed; the message says what, and what to do."""


class MissingProgramError(LabError):
    """A program, ROM or boot loader is not installed; the message names its Debian package."""


class DeadlineError(LabError):
    """Something did not happen in the time that it was given."""


class MachineExitedError(LabError):
    """The virtual machine ended while something was still expected from it."""
