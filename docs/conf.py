"""How `make docs` builds the documentation; the pages of classes come from their docstrings."""

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import ir_lightning  # noqa: E402

project = "ir_lightning"
author = copyright = "the ir_lightning maintainers"
release = version = ir_lightning.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "ir_lightning"
html_copy_source = False

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
    "special-members": "__call__",
}
autodoc_inherit_docstrings = False  # torch's own words about forward() say nothing of ours
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_numpy_docstring = False
napoleon_use_ivar = True


class Parts(SphinxDirective):
    """``{parts} ir_lightning.losses``: the classes of a folder that a configuration can name.

    These are the ones that a ``_target_`` in conf/ or experiments/ names, and their bases in the
    package, file by file. A new part appears without an edit here.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        lines = [f".. autoclass:: {package}.{name}" for name in parts(package)]
        return self.parse_text_to_nodes("```{eval-rst}\n" + "\n\n".join(lines) + "\n```")


def parts(package: str) -> list[str]:
    """Names of the parts of a package: by folder, and there bases before their subclasses."""
    folder = import_module(package)
    named = re.compile(rf"\b{re.escape(package)}\.(\w+)")
    targets = {name for text in configurations() for name in named.findall(text)}
    classes = [getattr(folder, name) for name in sorted(targets)]
    family = {
        base
        for part in classes
        for base in (inspect.getmro(part) if inspect.isclass(part) else [])
        if base.__module__.startswith(f"{package}.")
    }

    def place(part: type) -> tuple[str, int, str]:
        return part.__module__.rpartition(".")[0], len(part.__mro__), part.__module__

    return [part.__name__ for part in sorted(family, key=place)]


def configurations() -> Iterator[str]:
    """The texts of all yaml files that may name a part."""
    for name in ("conf", "experiments"):
        for path in sorted((ROOT / name).rglob("*.yaml")):
            yield path.read_text("utf-8")


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("parts", Parts)
