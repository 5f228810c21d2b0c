"""A real editor's server, yaml-language-server (npm), takes our schema: it completes, explains and complains.

Opt-in: `npm install -g yaml-language-server`, then `pytest -m live tests/cli/test_editor.py`.
"""

import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from agentcomm.cli.main import main

SERVER = shutil.which("yaml-language-server")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(SERVER is None, reason="needs yaml-language-server (npm) on the path"),
]


class Editor:
    """Speaks the language server protocol, as far as an editor must."""

    def __init__(self, folder: Path) -> None:
        assert SERVER is not None
        self.folder, self.number = folder, 0
        self.heard: queue.Queue[Any] = queue.Queue()
        self.server = subprocess.Popen(
            [SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "capabilities": {"workspace": {"configuration": True}},
            },
        )
        self._send({"method": "initialized", "params": {}})

    def _listen(self) -> None:
        out = self.server.stdout
        assert out is not None
        while head := out.readline():
            if head.lower().startswith(b"content-length:"):
                out.readline()  # the server sends no other header
                self.heard.put(json.loads(out.read(int(head.split(b":")[1]))))

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.server.stdin is not None
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        self.server.stdin.flush()

    def _wait(self, fits: Any) -> Any:
        while True:
            message = self.heard.get(timeout=30)
            if "id" in message and "method" in message:  # the server asks for settings
                items = (message.get("params") or {}).get("items", ())
                wanted = [{"validate": True, "completion": True, "hover": True}] * len(items)
                self._send({"id": message["id"], "result": wanted or None})
            elif fits(message):
                return message

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        return self._wait(lambda message: message.get("id") == self.number)["result"]

    def open(self, text: str, name: str) -> list[tuple[int, str]]:
        """Open a document; returns what is marked in it, as line and text."""
        uri = (self.folder / name).as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        told = self._wait(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri
            )
        )
        return [(one["range"]["start"]["line"] + 1, one["message"]) for one in told["params"]["diagnostics"]]

    def complete(self, text: str, name: str) -> set[str]:
        """Return what is offered where `¦` stands."""
        before, _, after = text.partition("¦")
        self.open(before + after, name)
        place = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        asked = {"textDocument": {"uri": (self.folder / name).as_uri()}, "position": place}
        return {one["label"] for one in self.ask("textDocument/completion", asked)["items"]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "shop"]) == 0
    return tmp_path / "shop"


@pytest.fixture
def editor(project):
    made = Editor(project / "protocols")
    yield made
    made.server.kill()
    made.server.wait()
    made.server.stdin.close()
    made.server.stdout.close()


def test_an_editor_completes_and_checks_a_protocol(project, editor):
    good = (project / "protocols/shop.yaml").read_text()
    assert editor.open(good, "shop.yaml") == []
    for number, (was, bad, words) in enumerate(
        (
            ("within: 10m", "within: ten", "a duration is a number with a unit"),
            ("agentcomm: 1", "agentcomm: 9", "Value must be 1"),
            ("finished: success", "finished: hurrah", '"undecided"'),
            ("outcomes:", "outcome:", "Property outcome is not allowed"),
            ("act: inform", "act: infrom", '"not-understood"'),
        )
    ):
        line = good[: good.index(was)].count("\n") + 1
        marked = editor.open(good.replace(was, bad), f"bad{number}.yaml")
        assert any(at == line and words in text for at, text in marked), (bad, marked)
    head = good.partition("limits:")[0]
    assert {"reply_within", "repairs", "misfires"} <= editor.complete(f"{head}limits:\n  ¦", "limits.yaml")
    assert {"success", "partial", "aborted"} <= editor.complete(
        good.replace("finished: success", "finished: ¦"), "classes.yaml"
    )
