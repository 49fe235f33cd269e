"""Makes the API documentation: `sphinx-build -n -W docs dist/docs`."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

project = "aa-redirect"
extensions = ["sphinx.ext.autodoc"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "alabaster"
# Types of other projects have no links, so that a build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(grpc|datetime|collections|enum|pathlib)\..*"),
    ("py:.*", r"timedelta|datetime|Path|Token"),
]


def read_sections(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Reads sections such as `Args:`, but not in attributes.

    There, napoleon would read the text before a colon as a type.
    """
    if what not in {"attribute", "property", "data"}:
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, obj, options).lines()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", read_sections)
