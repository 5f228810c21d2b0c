"""Documents that nobody would write, and everything that is done with those that are accepted all the same.

Bytes are lost, flipped and moved; keys and values of one protocol stand in another; protocols of other languages are spoiled on
their way in. What comes of it is findings or a protocol, in time, and never an exception.
"""

import copy
import json
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from mutants import parsed
from test_bad_input import LIBRARY, SECONDS, mangled, paced
from test_imports import AEA, BSPL

from agentcomm.errors import ProtocolError
from agentcomm.protocol.check import examine
from agentcomm.protocol.differ import compare
from agentcomm.protocol.imports.aea import from_aea
from agentcomm.protocol.imports.bspl import from_bspl
from agentcomm.protocol.library import load, names
from agentcomm.protocol.lookup import resolver
from agentcomm.protocol.project import project
from agentcomm.protocol.sarif import sarif
from agentcomm.protocol.typing_stub import python_types

DOCUMENTS = [parsed(data.decode()) for data in LIBRARY]
ORIGINALS = {load(name).name: load(name) for name in (*names(), *names(overlays=True))}
VALUES = (None, True, -1, 0, 3, 10**9, 1.5, "", [], {}, "x", "a.b", "1..20", "all", "any done", float("inf"))


def containers(node):
    """Return the maps and lists of a document that have anything in them."""
    found = [node] if isinstance(node, dict | list) and node else []
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [*found, *(each for value in inner for each in containers(value))]


def tangled(dice, document):
    """Return a document in which some keys and values are lost, exchanged, renamed or taken from elsewhere."""
    made = copy.deepcopy(document)
    for _ in range(dice.choice([1, 1, 2, 3, 6])):
        nodes = containers(made)
        if not nodes:
            break
        node, other = dice.choice(nodes), dice.choice(nodes)
        value = copy.deepcopy(dice.choice(list(other.values()) if isinstance(other, dict) else other))
        if isinstance(node, list):
            node[dice.randrange(len(node))] = value
            continue
        key = dice.choice(list(node))
        match dice.randrange(6):
            case 0:
                del node[key]
            case 1:
                node[key] = value
            case 2:
                node[dice.choice([name for each in nodes if isinstance(each, dict) for name in each])] = value
            case 3:
                node[key] = dice.choice(VALUES)
            case 4:
                swapped = dice.choice(list(node))
                node[key], node[swapped] = node[swapped], node[key]
            case _:
                node[key + dice.choice(["s", "-2", "x"])] = node.pop(key)
    return made


def judged(data, original=None):
    """Do with a document what can be done with it; return whether it was accepted."""
    checked = examine(data, path="fuzzed.yaml", resolve=resolver(), distributed=False)
    assert all(str(found) for found in checked.findings)
    json.dumps(sarif(checked.findings))
    protocol = checked.protocol
    if protocol is None:
        assert any(found.severity == "error" for found in checked.findings)
        return False
    examine(data, path="fuzzed.yaml", resolve=resolver(), distributed=True)
    for spec in ("table", "mermaid", "dot", "svg"):
        assert format(protocol, spec)
    for role in protocol.roles:
        assert format(project(protocol, role), "table")
    assert protocol.bound >= 0
    compile(python_types(protocol), "types", "exec")
    if original is not None:
        compare(original, protocol)
        compare(protocol, original)
    return True


def imported(read, data):
    """Bring in a protocol of another language; return whether it was accepted."""
    try:
        made = read(data, "fuzzed")
    except ProtocolError as error:
        return not str(error)
    assert not [found for found in examine(made.text).findings if found.severity == "error"]
    return True


@dataclass
class Tally:
    """What came of it."""

    accepted: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    """What raised something, or took too long: the way it was made, why, and the document."""
    slowest: float = 0.0

    def once(self, dice):
        """Make one document, and judge it."""
        kind = dice.choice(["bytes", "tangled", "tangled", "tangled", "aea", "bspl"])
        work, data = self._made(dice, kind)
        start = time.process_time()
        try:
            (self.accepted if work() else self.refused)[kind] += 1
        except Exception:  # noqa: BLE001  (whatever it is, it is told)
            self.wrong.append((kind, traceback.format_exc(limit=-3), data))
        took = paced(time.process_time() - start)
        self.slowest = max(self.slowest, took)
        if took > SECONDS:
            self.wrong.append((kind, f"{took:.1f} s", data))

    def _made(self, dice, kind):
        match kind:
            case "bytes":
                data = mangled(dice, dice.choice(LIBRARY))
                return (lambda: judged(data)), data
            case "tangled":
                document = dice.choice(DOCUMENTS)
                data = json.dumps(tangled(dice, document))
                return (lambda: judged(data, ORIGINALS[document["protocol"]])), data
            case "aea":
                data = mangled(dice, dice.choice(list(AEA.values())).encode())
                return (lambda: imported(from_aea, data)), data
            case _:
                data = mangled(dice, dice.choice(list(BSPL.values())).encode())
                return (lambda: imported(from_bspl, data)), data
