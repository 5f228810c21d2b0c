"""Find transcripts: by path, by folder, by the beginning of a file's name or of a conversation's id."""

from collections.abc import Sequence
from pathlib import Path

from agentcomm.errors import UsageError

__all__ = ("FOLDER", "find", "found_in", "newest")

FOLDER = Path("transcripts")
_MAKE_ONE = "name one, or make one: agentcomm run incident-handoff --model scripted"


def newest(folder: Path = FOLDER) -> Path:
    """Return the newest transcript in a folder.

    Raises:
        UsageError: If there is none.
    """
    found = found_in([folder])
    if not found:
        raise UsageError(
            f"there is no transcript in {'./' if folder == FOLDER else ''}{folder}", fix=_MAKE_ONE
        )
    return found[0]


def found_in(places: Sequence[Path]) -> list[Path]:
    """Return the transcripts in files and folders, the newest first.

    Raises:
        UsageError: If one of the places is not there.
    """
    paths: dict[Path, float] = {}
    for place in places:
        if place.is_dir():
            paths |= {path: path.stat().st_mtime for path in place.glob("*.jsonl")}
        elif place.exists():
            paths[place] = place.stat().st_mtime
        elif place != FOLDER:
            raise UsageError(
                f"there is no file or folder {str(place)!r}", fix="name a transcript, or a folder of them"
            )
    return sorted(paths, key=lambda path: (-paths[path], str(path)))


def find(name: str | None) -> Path:
    """Return the transcript that somebody means.

    Args:
        name: A path; a folder, for its newest; the beginning of a file's name in ./transcripts or of a conversation's id; None for
            the newest in ./transcripts.

    Raises:
        UsageError: If there is none, or more than one.
    """
    if name is None:
        return newest()
    path = Path(name).expanduser()
    if path.is_dir():
        return newest(path)
    if path.exists() or path.suffix == ".jsonl" or path.name != name:
        return path  # reading it says what is wrong with it
    kept = found_in([FOLDER])
    found = [one for one in kept if one.name.startswith(name)] or [one for one in kept if _is_of(one, name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"there is no transcript {name!r}",
            why="it is neither a file nor the beginning of a name or of a conversation's id in ./transcripts",
            fix="agentcomm trace list shows what is there",
        )
    raise UsageError(
        f"{name!r} may be {len(found)} transcripts",
        why=", ".join(one.name for one in found[:4]) + (", …" if len(found) > 4 else ""),  # noqa: PLR2004
        fix="write more of the name",
    )


def _is_of(path: Path, name: str) -> bool:
    """Return whether a transcript's first record opens a conversation of that id."""
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError:
        return False
    return f'"conversation":"{name}'.encode() in head
