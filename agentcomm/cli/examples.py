"""Find examples: in the checkout, else in the package."""

import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from agentcomm.errors import InputError, UsageError

__all__ = ("Example", "example_names", "find_example", "find_protocol")

_PACKAGE = Path(__file__).resolve().parent.parent


def _folder() -> Path:
    checkout = _PACKAGE.parent
    if (checkout / "examples").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "examples"
    return _PACKAGE / "_shipped" / "examples"


def example_names() -> tuple[str, ...]:
    """Return the names of the examples."""
    return tuple(sorted(path.parent.name for path in _folder().glob("*/workflow.py")))


class Example:
    """An example on disk: `workflow.py`, `replies.json`, and its own `protocol.yaml` or one of the library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.replies = folder / "replies.json"

    @property
    def protocol(self) -> Path:
        """The protocol's file; of the library, where the workflow names one as `PROTOCOL`."""
        own = self.folder / "protocol.yaml"
        if own.is_file():
            return own
        from agentcomm.protocol.library import find

        return find(self.module().PROTOCOL)

    def about(self) -> str:
        """Return the first line of its workflow, which says what it shows."""
        with (self.folder / "workflow.py").open(encoding="utf-8") as file:
            return file.readline().strip().strip('"')

    def module(self) -> ModuleType:
        """Import its workflow; the second time, return it as it was imported."""
        name = f"agentcomm_example_{self.name.replace('-', '_')}"
        if name in sys.modules:
            return sys.modules[name]
        sys.path.insert(0, str(self.folder))
        spec = importlib.util.spec_from_file_location(name, self.folder / "workflow.py")
        if spec is None or spec.loader is None:  # pragma: no cover
            raise InputError("the example has no workflow", where=str(self.folder), fix="take an intact copy")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


def find_example(name: str) -> Example | None:
    """Return the example of that name, or None."""
    return Example(_folder() / name) if name in example_names() else None


def find_protocol(name: str) -> Path:
    """Return the file of an example's, the library's or a user's protocol.

    Raises:
        UsageError: If there is none of that name.
    """
    from agentcomm.protocol.library import find, names

    example = find_example(name)
    if example is not None:
        return example.protocol
    try:
        return find(name)
    except UsageError:
        if Path(name).is_dir():
            folder = name.rstrip("/")
            raise UsageError(f"{name!r} is a folder", fix=f"name the files in it: {folder}/*.yaml") from None
        known = (*example_names(), *names(), *names(overlays=True))
        close = get_close_matches(name, known, 1)
        listed = f"examples: {', '.join(example_names())}; protocols: {', '.join(names())}"
        raise UsageError(
            f"there is no protocol, example or file {name!r}",
            why="" if close else listed,
            fix=f"did you mean {close[0]!r}?" if close else "name one of these, or a file ending in .yaml",
        ) from None
