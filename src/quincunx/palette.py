"""The colours of the package, light and dark, each named by what it means; pictures, pages and notebooks share them."""

from dataclasses import dataclass

__all__ = ["THEMES", "Theme", "colour_rules"]


@dataclass(frozen=True)
class Theme:
    """The colours of one ground, named by what they mean.

    No two meanings share a colour, so a page can exchange them one by one (the report does, for dark screens).
    """

    name: str
    surface: str
    ink: str
    muted: str
    grid: str
    posterior: str
    reference: str
    prior: str
    truth: str
    good: str
    bad: str

    def colours(self) -> dict[str, str]:
        """Meaning -> hexadecimal colour.

        >>> THEMES["light"].colours()["surface"]
        '#ffffff'
        """
        return {name: value for name, value in vars(self).items() if name != "name"}


THEMES = {
    "light": Theme(
        name="light",
        surface="#ffffff",
        ink="#1b2430",
        muted="#5b6776",
        grid="#d9dee5",
        posterior="#1f5fa8",
        reference="#c2570c",
        prior="#5c6a2b",
        truth="#b0185a",
        good="#1a7f4e",
        bad="#c0262d",
    ),
    "dark": Theme(
        name="dark",
        surface="#12171e",
        ink="#e8ecf1",
        muted="#a3afbd",
        grid="#36414e",
        posterior="#6db1ff",
        reference="#ff9d57",
        prior="#b9c972",
        truth="#ff7db0",
        good="#57c78d",
        bad="#ff7b7b",
    ),
}


def colour_rules(selector: str = ":root") -> str:
    """CSS that gives every colour its value below `selector`: light by default and on paper, dark on dark screens.

    >>> "--posterior:" in colour_rules(), colour_rules(".card").startswith(".card{")
    (True, True)
    """
    light, dark = (
        ";".join(f"--{meaning}:{colour}" for meaning, colour in THEMES[name].colours().items())
        for name in ("light", "dark")
    )
    return f"{selector}{{{light}}}@media screen and (prefers-color-scheme: dark){{{selector}{{{dark}}}}}"
