"""The TFTP servers tftpd-hpa and atftpd: Debian's /etc/default files, which a shell reads."""

from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.site import Site


def hpa(site: Site) -> str:
    """Return the text of /etc/default/tftpd-hpa, see tftpd(8); `--secure`: names begin at the folder."""
    return (
        head("tftpd-hpa") + f'TFTP_USERNAME="tftp"\nTFTP_DIRECTORY="{site.tftp_root}"\n'
        f'TFTP_ADDRESS="{site.server}:69"\nTFTP_OPTIONS="--secure"\n'
    )


def advanced(site: Site) -> str:
    """Return the text of /etc/default/atftpd, whose manual page is atftpd(8); no inetd starts it."""
    options = f"--tftpd-timeout 300 --retry-timeout 5 --maxthread 100 --verbose=5 {site.tftp_root}"
    return head("atftpd") + f'USE_INETD=false\nOPTIONS="{options}"\n'
