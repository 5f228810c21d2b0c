"""The tables of docs/pages/laboratory.md, made of the figures in results/lab-*.json.

python tests/benchmarks/lab_tables.py
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
NOISE = ("undetected", "caught", "ungrounded", "on_trust", "false_alarms", "extra_turns", "net_value")
SHARES = ("undetected", "caught", "ungrounded", "on_trust", "false_alarms", "done")


def part(name: str) -> list[dict[str, Any]]:
    path = RESULTS / f"lab-{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else []


def shown(name: str, found: dict[str, Any]) -> str:
    value, low, high = found["value"], found["low"], found["high"]
    if value != value:  # noqa: PLR0124  (not a number)
        return ""
    if name in SHARES:
        return f"{100 * value:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def noise_table(names: tuple[str, ...]) -> str:
    cells = [cell for name in names for cell in part(name)]
    rows = [
        "| noise | values used | grounding | " + " | ".join(NOISE) + " |",
        "|---" * (len(NOISE) + 3) + "|",
    ]
    for cell in cells:
        noise = ", ".join(f"`{kind}`" for kind in cell["noise"]) or f"none, stakes {cell['stakes']}"
        figures = " | ".join(shown(name, cell["measures"][name]) for name in NOISE)
        rows.append(f"| {noise} | {cell['effect']} | {cell['grounding']} | {figures} |")
    return "\n".join(rows)


def grid_table(name: str) -> str:
    rows = [
        "| values used | stakes | noise | never | always | adaptive | optimum | above the better of both | above the optimum |",
        "|---" * 9 + "|",
    ]
    for cell in part(name):
        over, best = cell["over_better"], cell["over_optimum"]
        rows.append(
            f"| {cell['effect']} | {cell['stakes']} | {cell['noise']:g} | {cell['never']:.2f} | {cell['always']:.2f} | "
            f"{cell['adaptive']:.2f} | {cell['optimum']:.2f} | {over['value']:.3f} [{over['low']:.3f}, {over['high']:.3f}] | "
            f"{100 * best['value']:.1f} % [{100 * best['low']:.1f}, {100 * best['high']:.1f}] |"
        )
    return "\n".join(rows)


def priors_table() -> str:
    """Return for each belief and stakes how many cells lie above the better of never and always, and the worst of them."""
    rows = [
        "| stakes | believed, good and bad | cells above 0, of 6 | the most above the better of both | above the optimum |",
        "|---" * 5 + "|",
    ]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in part("priors"):
        found.setdefault((cell["stakes"], ", ".join(f"{n:g}" for n in cell["prior"])), []).append(cell)
    for (stakes, prior), cells in found.items():
        above = [f"{cell['noise']:g}" for cell in cells if cell["over_better"]["low"] > 0]
        worst = max(cell["over_better"]["value"] for cell in cells)
        most = max(cell["over_optimum"]["value"] for cell in cells)
        named = f"{len(above)} (noise {', '.join(above)})" if above else "0"
        rows.append(f"| {stakes} | {prior} | {named} | {worst:.2f} | {100 * most:.0f} % |")
    return "\n".join(rows)


def doubts_table() -> str:
    names = ("undetected", "extra_turns", "done", "cost", "net_value")
    rows = ["| stakes | noticed | grounding | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    for cell in part("doubts"):
        figures = " | ".join(shown(name, cell["measures"][name]) for name in names)
        rows.append(f"| {cell['stakes']} | {100 * cell['notices']:.0f} % | {cell['grounding']} | {figures} |")
    return "\n".join(rows)


def main() -> None:
    for title, names in (
        ("values", ("values",)),
        ("clean", ("clean",)),
        ("unseen", ("unseen", "irreversible")),
        ("others", ("others",)),
    ):
        print(f"## {title}\n\n{noise_table(names)}\n")
    for name in ("grid", "calibrated"):
        print(f"## {name}\n\n{grid_table(name)}\n")
    print(f"## priors\n\n{priors_table()}\n")
    print(f"## doubts\n\n{doubts_table()}\n")


if __name__ == "__main__":
    main()
