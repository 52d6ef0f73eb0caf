"""The reference: one page of Markdown for each room, from signatures and docstrings."""

import importlib
import inspect
import re
from typing import Any

ROOMS = {
    "quincunx": "The names that most need, `import quincunx as qx`.",
    "quincunx.model": "What a scientist writes: priors, simulators, gold.",
    "quincunx.run": "Running simulators, and what comes of it.",
    "quincunx.learn": "Functionals, networks, and the training loop.",
    "quincunx.infer": "From simulations to answers.",
    "quincunx.check": "Is the answer right?",
    "quincunx.design": "What to measure next?",
    "quincunx.lab": "Studies, runs, the lab book, the loop.",
    "quincunx.studio": "The page over lab books and answers.",
    "quincunx.gallery": "The worked problems.",
    "quincunx.plot": "Pictures from plain arrays and names.",
}
SECTION = re.compile(r"^(Args|Raises|Returns|Yields):\s*(.*)$")


def room_page(room: str) -> str:
    """Everything that a room exports, in the order of its `__all__`: signature, docstring, public methods."""
    module = importlib.import_module(room)
    parts = [f"# {room}", ROOMS[room]]
    for name in module.__all__:
        value = getattr(module, name)
        if (inspect.ismodule(value) and not callable(value)) or name.startswith("__"):
            continue
        parts += _entry(name, value, level=2)
    return "\n\n".join(parts) + "\n"


def _entry(name: str, value: Any, level: int) -> list[str]:
    told = inspect.getdoc(value) if callable(value) or isinstance(value, property) else ""
    parts = [f"{'#' * level} {name}"]
    if callable(value):
        parts.append(f"```python\n{_signature(name, value, wrap=True)}\n```")
    parts += [markdown(told)] if told else []
    if inspect.isclass(value):
        for inner, attribute in vars(value).items():
            called = attribute.__func__ if isinstance(attribute, (classmethod, staticmethod)) else attribute
            shown = inspect.isfunction(called) or isinstance(called, property) or hasattr(called, "__wrapped__")
            if not inner.startswith("_") and shown and inspect.getdoc(called):
                kind = " (property)" if isinstance(called, property) else ""
                said = inner if kind else _signature(inner, called)
                parts.append(f"`{name}.{said}`{kind}")
                parts.append(markdown(inspect.getdoc(called) or ""))
    return parts


def _signature(name: str, value: Any, *, wrap: bool = False) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{name}(...)"
    plain = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name not in ("self", "cls")]
    said = [re.sub(r"=\s?<.*>$", "=...", str(p)) for p in plain]
    keyword = next((i for i, p in enumerate(plain) if p.kind is p.KEYWORD_ONLY), None)
    if keyword is not None and not any(p.kind is p.VAR_POSITIONAL for p in plain):
        said.insert(keyword, "*")
    text = f"{name}({', '.join(said)})"
    if wrap and len(text) > 80:
        text = f"{name}(\n" + "".join(f"    {one},\n" for one in said) + ")"
    return text


def markdown(docstring: str) -> str:
    """A docstring as Markdown: examples in fences, its sections as lists."""
    out: list[str] = []
    inside, section = False, False
    for line in inspect.cleandoc(docstring).splitlines():
        example = line.lstrip().startswith(">>>") or (inside and line.strip() != "")
        if example != inside:
            out += ["", "```pycon"] if example else ["```", ""]
            inside = example
        found = SECTION.match(line)
        if inside:
            out.append(line)
        elif found:
            out += ["", f"*{found[1]}*", ""] + ([f"- {_free(found[2])}"] if found[2] else [])
            section = True
        elif section and line.startswith("    "):
            item = line.strip()
            item = _free(item)
            out.append(f"- {item}" if re.match(r"[\w, .]+:", item) and not line.startswith("        ") else f"  {item}")
        else:
            section = section and not line.strip()
            out.append(_free(line))
    return "\n".join([*out, *(["```"] if inside else [])])


def _free(line: str) -> str:
    """What Markdown would take for HTML or emphasis, set free outside of code."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;").replace("*", "\\*") for p in parts)
