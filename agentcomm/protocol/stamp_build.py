"""The build hook: check every shipped protocol when a wheel is built, and ship the stamps that say so.

Run by hatchling, not by agentcomm. A protocol with an error fails the build.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import (  # pyright: ignore[reportMissingImports]
    BuildHookInterface,  # pyright: ignore[reportUnknownVariableType]
)

__all__ = ("CustomBuildHook",)

SHIPPED = "agentcomm/_shipped/stamps.json"


class CustomBuildHook(BuildHookInterface):  # pyright: ignore[reportUntypedBaseClass]
    """Checks what is shipped."""

    PLUGIN_NAME = "custom"
    root: str
    """The folder that is built from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check the protocols and add their stamps to the wheel.

        Args:
            version: `standard`, or `editable`: that reads the protocols where they are, and ships nothing.
            build_data: What goes into the wheel.

        Raises:
            ProtocolError: If a protocol has an error.
        """
        if version == "editable":
            return
        stamps = json.dumps(_stamps(Path(self.root)), indent=0)
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="utf-8") as file:
            file.write(stamps + "\n")
        build_data["force_include"][file.name] = SHIPPED
        self._written = Path(file.name)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written for the build."""
        del version, build_data, artifact_path
        written = getattr(self, "_written", None)
        if isinstance(written, Path):
            written.unlink(missing_ok=True)


def _stamps(root: Path) -> list[str]:
    """Return the stamps of all shipped protocols, in a fixed order."""
    sys.path.insert(0, str(root))
    try:
        from agentcomm.errors import ProtocolError
        from agentcomm.protocol.check import examine
        from agentcomm.protocol.library import stamp
        from agentcomm.protocol.lookup import resolver
    finally:
        sys.path.remove(str(root))
    files = [*(root / "protocols").rglob("*.yaml"), *(root / "examples").glob("*/protocol.yaml")]
    stamps: set[str] = set()
    for file in files:
        data = file.read_bytes()
        path = file.relative_to(root).as_posix()
        checked = examine(data, path=path, resolve=resolver(file))
        errors = [found for found in checked.findings if found.severity == "error"]
        if errors or checked.protocol is None:
            raise ProtocolError(f"{path} has errors", findings=errors, where=path)
        text = checked.protocol.text.encode()
        stamps.add(stamp(text, None, checked.protocol.embedded))
    return sorted(stamps)
