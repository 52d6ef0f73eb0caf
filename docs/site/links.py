"""Do links lead somewhere? Those within the pages by file and heading, those to other places only by how they are written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^()\s>]+(?:\([^()\s]*\))?)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
FETCHING = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them: lower case, hyphens, no marks."""
    found: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", page)):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).strip().replace(" ", "-")
        count = sum(other == plain or re.fullmatch(re.escape(plain) + r"-\d+", other) is not None for other in found)
        found.append(f"{plain}-{count}" if count else plain)
    return set(found)


def broken_links(pages: list[Path]) -> list[str]:
    """What is wrong with the links of Markdown pages, one sentence each; empty where all is well."""
    wrong = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in LINK.findall(FENCE.sub("", re.sub(r"(?<!`)`[^`\n]+`", "", text))):
            said = _broken(page, text, target)
            wrong += [f"{page.name}: '{target}' {said}"] if said else []
    return wrong


def _broken(page: Path, text: str, target: str) -> str:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        sound = parts.scheme in ("https", "http", "mailto") and (parts.netloc or parts.scheme == "mailto")
        return "" if sound else "is not the address of anything"
    file = page if not parts.path else page.parent / unquote(parts.path)
    if not file.exists():
        return "is not there"
    if parts.fragment and file.suffix == ".md":
        known = anchors(text if file == page else file.read_text(encoding="utf-8"))
        return "" if parts.fragment in known else "has no such heading"
    return ""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.ids |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag in FETCHING and FETCHING[tag] in named:
            self.fetched.append(named[FETCHING[tag]])


def broken_site(root: Path) -> list[str]:
    """What is wrong with a built site: links to pages or anchors that are not there, and anything fetched from elsewhere."""
    read: dict[Path, _Page] = {}
    for path in sorted(root.rglob("*.html")):
        read[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    wrong = []
    for path, page in read.items():
        for target in page.fetched:
            if urlsplit(target).netloc:
                wrong.append(f"{path.name}: fetches '{target}'")
        for target in page.links + page.fetched:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            file = file / "index.html" if file.is_dir() else file
            lost = file in read and parts.fragment and unquote(parts.fragment) not in read[file].ids
            wrong += [f"{path.name}: '{target}' is not there"] if lost or not file.exists() else []
    for style in sorted(root.rglob("*.css")):
        for address in re.findall(
            r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", style.read_text(encoding="utf-8")
        ):
            wrong.append(f"{style.name}: fetches '{address}'")
    return wrong
