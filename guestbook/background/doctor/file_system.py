"""On which file system a folder lies: on a network drive SQLite's locks and its WAL are not safe."""

import re
from contextlib import suppress
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")  # Linux's, see proc_pid_mounts(5) and fstab(5)
NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|ocfs2|gfs2|davfs2?|ncpfs"
    r"|fuse\.(sshfs|glusterfs|ceph|ceph-fuse|rclone|s3fs|gcsfuse|davfs2?|mount_davfs|smbnetfs|moosefs|juicefs)"
)
OCTAL = re.compile(r"\\([0-7]{3})")


def type_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type, such as ext4 or nfs4; None where the system does not say."""
    found, deepest = None, -1
    with suppress(OSError):
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            _device, where, kind, *_ = line.split(" ")
            place = Path(OCTAL.sub(lambda code: chr(int(code[1], 8)), where))
            if folder.resolve().is_relative_to(place) and len(place.parts) >= deepest:
                found, deepest = kind, len(place.parts)
    return found


def is_network(kind: str | None) -> bool:
    """Whether other hosts can have such a file system mounted too."""
    return kind is not None and NETWORK_TYPES.fullmatch(kind) is not None
