"""The blocks of a page, in order, and how each kind is run.

A comment before a block says what the reader is told to do with it: `<!-- file: shop.yaml -->` saves it under that name,
`<!-- draft: shop.yaml -->` does so with a protocol in which the page then finds faults, `<!-- add to: agents.py -->` appends it, `<!-- not run: why -->` leaves it out. All blocks of a page share one folder.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from agentcomm.protocol.check import examine

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>file|draft|add to|not run): (?P<word>[^\n]*?) -->\n+)?^(?P<indent> *)```(?P<kind>[\w-]+)\n(?P<text>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
SHOWN = {"text", "mermaid", "toml", "ini", "diff"}
"""Blocks that only show something."""


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    line: int
    mark: str = ""
    word: str = ""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        body = match["text"]
        if indent := match["indent"]:
            body = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("kind")) + 1
        found.append(Block(match["kind"], body, line, match["mark"] or "", match["word"] or ""))
    return found


def run(block: Block, folder: Path) -> None:
    """Do with a block what the page tells its reader to; raises AssertionError if it goes otherwise."""
    if block.mark == "not run":
        assert block.word, "say why it is not run"
        return
    if block.kind == "yaml" and block.mark != "draft" and block.text.startswith("agentcomm:"):
        assert not (found := examine(block.text, path=folder / "block.yaml").findings), found
    if block.mark in {"file", "draft", "add to"}:
        path = folder / block.word
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if block.mark == "add to" else "w", encoding="utf-8") as file:
            file.write(block.text)
        return
    match block.kind:
        case "python":
            done([sys.executable, "-c", block.text], folder)
        case "sh":
            done(["bash", "-euo", "pipefail", "-c", block.text], folder)
        case "console":
            console(block.text, folder)
        case "json":
            for line in [block.text] if block.text.lstrip().startswith("{\n") else block.text.splitlines():
                json.loads(line)
        case "yaml":
            yaml.safe_load(block.text)
        case kind:
            assert kind in SHOWN, f"nobody knows how to run a block of {kind!r}"


def console(text: str, folder: Path) -> None:
    """Run each `$ command` and compare what it prints; a line `...` stands for any lines."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = f"{command[:-1]} {more.strip()}"
        printed = done(["bash", "-c", command], folder, check=False)
        pattern = "".join(
            r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + r"\s*?\n"
            for line in expected.rstrip().splitlines()
        )
        assert re.fullmatch(pattern + r"\s*", printed), (
            f"$ {command}\n--- the page says\n{expected}--- it prints\n{printed}"
        )


def done(command: list[str], folder: Path, *, check: bool = True) -> str:
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / ".home"),
        "XDG_CACHE_HOME": str(folder / ".home/.cache"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert not check or result.returncode == 0, f"{' '.join(command)}\n{result.stdout}"
    return result.stdout
