"""The real programs' own checks of configurations: each fails if its program refuses one, or has warnings."""

import subprocess
from pathlib import Path

from pxelab import Lab


class Refused(AssertionError):
    """A program does not accept a configuration."""


def checked(lab: Lab, words: list[str | Path]) -> str:
    done = lab.space.run(list(words), timeout=30, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        raise Refused(f"{words[0]}: exit status {done.returncode}\n{said[-3000:]}")
    return said


def dnsmasq(lab: Lab, text: str) -> str:
    config = lab.folder / "check.dnsmasq"
    config.write_text(text)
    return checked(lab, ["dnsmasq", "--test", f"--conf-file={config}"])


def dhcpd(lab: Lab, text: str) -> str:
    config = lab.folder / "check.dhcpd"
    config.write_text(text)
    said = checked(lab, ["dhcpd", "-4", "-t", "-cf", config, "-lf", "/dev/null"])
    if "WARNING" in said:
        raise Refused(said)
    return said


def kea(lab: Lab, text: str) -> str:
    config = lab.folder / "check.kea"
    config.write_text(text)
    folder = lab.folder
    said = checked(
        lab, ["env", f"KEA_PIDFILE_DIR={folder}", f"KEA_LOCKFILE_DIR={folder}", "kea-dhcp4", "-t", config]
    )
    if " WARN " in said or " ERROR " in said:
        raise Refused(said)
    return said


def nginx_files(lab: Lab, text: str) -> Path:
    """Return a complete configuration of nginx that includes `text`."""
    folder = lab.folder / "check.nginx"
    folder.mkdir(exist_ok=True)
    (folder / "mkpxeinit.conf").write_text(text)
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\ninclude /etc/nginx/mime.types;\ninclude {folder}/mkpxeinit.conf;\n}}\n"
    )
    return config


def nginx(lab: Lab, text: str) -> str:
    config = nginx_files(lab, text)
    said = checked(lab, ["nginx", "-t", "-p", config.parent, "-c", config])
    if "[warn]" in said or "[emerg]" in said:
        raise Refused(said)
    return said


def grub(text: str, folder: Path) -> None:
    config = folder / "check.grub"
    config.write_text(text)
    done = subprocess.run(["grub-script-check", str(config)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr)
