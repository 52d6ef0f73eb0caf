"""Build the static site: python docs/site/build.py site

The pages of docs/, README, CHANGELOG and CONTRIBUTING, and a reference from docstrings, all of them checked for links that lead nowhere, before
and after. It needs the extra `docs`, and no network.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from links import broken_links, broken_site
from reference import ROOMS, room_page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GUIDE = ("first-five-minutes", "simulate", "infer", "check", "design", "loop", "studio", "commands")
DEEPER = ("command-simulators", "programs", "gold", "answers", "runs")
AROUND = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "LICENSE",
}


def pages() -> list[Path]:
    """The Markdown pages that people read in the repository."""
    return [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in AROUND if name.endswith(".md"))]


def stage(folder: Path) -> None:
    """Lay out in a folder what Sphinx reads: every page once, with links as they are there."""
    for path in (ROOT / "docs").iterdir():
        if path.suffix in (".md", ".svg", ".png"):
            shutil.copy(path, folder)
    for name, there in AROUND.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        (folder / there).write_text(_moved(text) if there.endswith(".md") else text, encoding="utf-8")
    for path in folder.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"\]\(\.\./(README|CHANGELOG|CONTRIBUTING)\.md", _back, text), encoding="utf-8")
    (folder / "reference").mkdir()
    for room in ROOMS:
        (folder / "reference" / f"{room}.md").write_text(room_page(room), encoding="utf-8")
    index = folder / "index.md"
    index.write_text(index.read_text(encoding="utf-8") + _contents(), encoding="utf-8")
    others = {path.stem for path in (ROOT / "docs").glob("*.md")} - {*GUIDE, *DEEPER}
    if others:
        raise SystemExit(
            f"pages that are in no table of contents: {', '.join(sorted(others))}; name them in {Path(__file__).name}"
        )
    shutil.copy(HERE / "conf.py", folder)
    shutil.copytree(HERE / "static", folder / "static")


def build(target: Path) -> list[str]:
    """Build into `target`; what is wrong with links is returned."""
    from sphinx.cmd.build import main

    wrong = broken_links(pages())
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "source"
        source.mkdir()
        stage(source)
        shutil.rmtree(target, ignore_errors=True)
        code = main(["-q", "-W", "--keep-going", "-b", "html", "-d", f"{place}/trees", str(source), str(target)])
    return wrong + broken_site(target) + (["Sphinx found something to complain of"] if code else [])


def _moved(text: str) -> str:
    text = re.sub(r"\]\(docs/", "](", text)
    for name, there in AROUND.items():
        text = text.replace(f"]({name}", f"]({there}")
    return text


def _back(found: re.Match[str]) -> str:
    return f"]({AROUND[found.group(1) + '.md']}"


def _contents() -> str:
    parts = {
        "Guide": GUIDE,
        "In depth": DEEPER,
        "Reference": [f"reference/{room}" for room in ROOMS],
        "Project": ["changelog", "contributing"],
    }
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
        for caption, names in parts.items()
    )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()
    found = build(target)
    for line in found:
        sys.stderr.write(line + "\n")
    if not found:
        sys.stdout.write(f"{target / 'index.html'}\n")
    raise SystemExit(bool(found))
