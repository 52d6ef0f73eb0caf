"""How Sphinx builds the static site: Markdown pages, system fonts, and nothing that is fetched from anywhere."""

import quincunx

project = "Quincunx"
author = "The Quincunx developers"
version = release = quincunx.__version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
# Commands are copied from these pages: quotes and dashes stay as they were typed.
smartquotes = False

# The highlighter knows no CSV, which needs no colours.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"Quincunx {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "native"
