"""The group of verbs, each imported when it is called, and the one place that reports errors."""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from mkpxeinit import __version__
from mkpxeinit.cli import say
from mkpxeinit.cli.forms import Group, with_quiet
from mkpxeinit.errors import MkpxeinitError, UsageError, os_cause, printable
from mkpxeinit.meant import close

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Verb: what the overview says of it. The module of the same name has the function `command`.
_VERBS = {
    "build": "Make an initrd from an installed system tree.",
    "list": "List what is in an image, of any tool.",
    "why": "Say why something is in an image.",
    "diff": "Say in what two images differ.",
    "check": "Say which machines of a fleet an image serves.",
    "cat": "Print files of an image.",
    "extract": "Unpack an image into a folder, never outside it.",
    "prepare": "Make a tree ready to be a root that many clients share.",
    "server-config": "Write the configuration of DHCP, TFTP, NFS and HTTP servers and loaders.",
    "publish": "Publish kernel, image and loaders in a TFTP root.",
    "hook": "Have images follow the kernels that a package manager installs.",
    "verify-server": "Ask the servers as a client would, and say what is wrong.",
    "serve": "Serve a tree to the clients of one network, until Ctrl-C.",
    "busybox": "Build the small static busybox that images take.",
    "boot": "Boot an image in QEMU, by PXE, from the tree as NFS root.",
    "timeline": "Draw where the time of a client's boot went.",
    "doctor": "Say what is missing on this machine, and which package brings it.",
}
_COMPLETE = "_MKPXEINIT_COMPLETE"  # the shell that asks is in this variable: cli/completion.py


class _Verbs(Group):
    """Verbs whose modules are imported only when they are used: `--help` stays quick."""

    what = "verb"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"mkpxeinit.cli.{name.replace('-', '_')}").command
        return with_quiet(command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text) for name, text in _VERBS.items() if name.startswith(incomplete)
        ]
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(
    cls=_Verbs,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  mkpxeinit doctor serve
  mkpxeinit build --sysroot /netboot/pxeclient --output /srv/tftp/pxeclient.img
  mkpxeinit VERB -h                     (each verb has examples of its own)
""",
)
@click.version_option(__version__, prog_name="mkpxeinit", message="%(prog)s %(version)s")
def group() -> None:
    """Build initrds that boot diskless clients over the network, from an installed system tree."""


with_quiet(group)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 failed, 2 wrong usage."""
    previous = _stop_cleanly()
    say.reset()
    if _COMPLETE in os.environ:
        from mkpxeinit.cli import completion

        completion.register()
    try:
        code = group.main(arguments, prog_name="mkpxeinit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except click.NoSuchOption as error:
        return _fail(_no_option(error), 2)
    except click.UsageError as error:
        hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        text = error.format_message()
        return _fail(f"{text if text.endswith('..') else text.removesuffix('.')}{hint}", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 1)
    except UsageError as error:
        return _fail(str(error), 2)
    except MkpxeinitError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        # The reader of stdout has gone; Python would complain about it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        name = f"{printable(error.filename)}: " if error.filename else ""
        return _fail(f"{name}{os_cause(error)}", 1)
    except MemoryError:
        return _fail("out of memory", 1)
    except Exception as error:
        if os.environ.get("MKPXEINIT_DEBUG"):
            raise
        text = printable(f"{type(error).__name__}: {error}")
        return _fail(f"unexpected error: {text}; set MKPXEINIT_DEBUG=1 for details, and please report it", 1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _fail(message: str, code: int) -> int:
    """Print `message`, one line, on stderr; return `code`."""
    say.error(message)
    return code


def _no_option(error: click.NoSuchOption) -> str:
    """Return the message for an option that the verb has not, with the one that was meant."""
    shown = printable(error.option_name)
    if error.ctx is None:
        return f"no such option: {shown}"
    known = [name for each in error.ctx.command.get_params(error.ctx) for name in each.opts]
    found = close(error.option_name, (name for name in known if name.startswith("--")), 1)
    hint = f"; did you mean {found[0]}?" if found else f"; see {error.ctx.command_path} --help"
    return f"no such option: {shown}{hint}"


def _stop_cleanly() -> dict[int, Any]:
    """Make SIGTERM and SIGHUP unwind the stack, so that temporary files go; return the old handlers."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handler: Callable[[int, FrameType | None], None] = stop
    return {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGHUP)}
