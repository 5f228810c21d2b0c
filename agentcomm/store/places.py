"""Where a store may lie: on a disk of this machine, since locks and shared memory do not work over a network."""

import os
from pathlib import Path

from agentcomm.errors import StoreError

__all__ = ("refuse_network",)

_NETWORK = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "afsfs",
        "ncpfs",
        "9p",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "gfs2",
        "ocfs2",
        "pvfs2",
        "davfs",
        "vboxsf",
        "prl_fs",
        "drvfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
        "fuse.davfs2",
        "fuse.smbnetfs",
        "fuse.moosefs",
    )
)
_MOUNTS = Path("/proc/self/mountinfo")


def refuse_network(path: Path) -> None:
    """Refuse a path on a network file system, as far as this system tells.

    Raises:
        StoreError: X408 if it is on one.
    """
    kind = _kind(path.resolve())
    if kind in _NETWORK or str(path).startswith("\\\\"):
        raise StoreError(
            f"the store would lie on a network file system ({kind or 'a share'})",
            where=str(path),
            why="SQLite needs locks and shared memory that such a system does not give, and would lose what was said",
            fix="name a path on a disk of this machine; for several machines, one process serves and the others ask it",
            code="X408",
        )


def _kind(path: Path) -> str:
    """Return the type of the file system of a path; empty where the system does not tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        parts, types = before.split(" "), after.split(" ")
        if len(parts) < 5 or not types[0]:  # noqa: PLR2004  (the fifth word is where it is mounted)
            continue
        point = parts[4].encode().decode("unicode_escape") if "\\" in parts[4] else parts[4]
        if len(point) >= best and (
            path == Path(point) or str(path).startswith(point.rstrip(os.sep) + os.sep)
        ):
            best, kind = len(point), types[0]
    return kind
