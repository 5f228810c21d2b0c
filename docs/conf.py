"""How the documentation is built: `sphinx-build -W docs docs/_build`."""  # noqa: INP001

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx
from sphinx.ext import napoleon
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agentcomm.cli.main import parser as command_line  # noqa: E402
from agentcomm.protocol.draw_svg import draw_svg  # noqa: E402
from agentcomm.protocol.library import load, names  # noqa: E402
from agentcomm.protocol.picture import picture  # noqa: E402
from agentcomm.version import VERSION  # noqa: E402

_of_google = napoleon._process_docstring  # noqa: SLF001


def _not_of_fields(app: Sphinx, what: str, *given: Any) -> None:
    """Leave a field's text as it is: what stands before a colon there is no type."""
    if what not in {"attribute", "data", "property"}:
        _of_google(app, what, *given)


napoleon._process_docstring = _not_of_fields  # noqa: SLF001

project = "agentcomm"
author = "the agentcomm maintainers"
copyright = "the agentcomm maintainers, Apache-2.0"  # noqa: A001
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "make_library.py"]
source_suffix = {".md": "markdown"}
default_role = "code"
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
autodoc_use_legacy_class_based = False
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"agentcomm {VERSION}"
html_static_path = ["_static"]
html_css_files = ["agentcomm.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options: dict[str, Any] = {"navigation_with_keys": True, "top_of_page_buttons": []}


class DrawnHere(SphinxDirective):
    """A mermaid block: on a library page, the picture that our own drawer makes of that protocol; elsewhere, its text.

    What hosting sites draw from the same block in a browser, this site carries as a file, so that it loads nothing.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        folder, _, name = self.env.docname.rpartition("/")
        if not folder.endswith("library"):
            text = "\n".join(self.content)
            return [nodes.literal_block(text, text, language="text")]
        protocol = load(name if name in names() else f"_overlays/{name}")
        made = Path(self.env.app.outdir) / "_images" / "protocols" / f"{name}.svg"
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(draw_svg(picture(protocol)), encoding="utf-8")
        up = "../" * (self.env.docname.count("/"))
        link = f"{up}_images/protocols/{name}.svg"
        html = f'<a class="protocol" href="{link}"><img class="protocol" src="{link}" alt="{name}, drawn as a graph"></a>'
        return [nodes.raw("", html, format="html")]


class CommandHelp(Directive):
    """Every command with what its `--help` prints."""

    option_spec = {"depth": directives.nonnegative_int}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return a section for each command, those within another command after it."""
        made: list[nodes.Node] = []
        for words, parser in commands(command_line()):
            section = nodes.section(ids=["-".join(words)])
            section += nodes.title("", " ".join(words))
            section += nodes.literal_block("", parser.format_help(), language="text")
            made.append(section)
        return made


def commands(parser: argparse.ArgumentParser) -> list[tuple[list[str], argparse.ArgumentParser]]:
    """Return each command's words with its parser, in the order of the help."""
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=84)
    found = [(parser.prog.split(), parser)]
    for action in parser._actions:  # noqa: SLF001 - argparse shows its commands nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                found += commands(child)
    return found


def as_files(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Let links to pages outside the documentation lead to the files themselves."""
    source[0] = re.sub(r"\]\((?=(?:\.\./)+(?:examples|tests)/[^)]*\.md\))", "](path:", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what the pages use beyond Markdown."""
    app.add_directive("mermaid", DrawnHere)
    app.add_directive("command-help", CommandHelp)
    app.connect("source-read", as_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
