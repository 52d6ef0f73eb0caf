"""NAME=VALUE from the shell: parameters, designs, and the settings that may be chosen."""

import json
import re
from collections.abc import Sequence
from typing import Any

from quincunx.errors import DesignOutsideSpace, UsageError


def assigned(text: str, option: str, example: str) -> dict[str, str]:
    """Names and the texts of their values. A comma parts two pairs where a NAME= comes after it, and belongs to a value elsewhere.

    >>> assigned("energy=40:50, kind=[a,b]", "--settings", "energy=40:50")
    {'energy': '40:50', 'kind': '[a,b]'}
    >>> assigned("times=1,2,3,dose=5", "--override", "times=1,2,dose=5")
    {'times': '1,2,3', 'dose': '5'}

    Raises:
        UsageError: for anything else than NAME=VALUE, parted by commas, and for a name that comes twice.
    """
    found: dict[str, str] = {}
    for pair in re.split(r",(?=\s*\w+\s*=)", text):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name.isidentifier() and equals and value) or name in found:
            raise UsageError(
                f'got {option} "{text}"; expected NAME=VALUE[,NAME=VALUE...], each name once; write for example {option} {example}'
            )
        found[name] = value
    return found


def point(text: str, option: str, example: str) -> dict[str, Any]:
    """One point of parameters: numbers, or lists of them.

    >>> point("a=1,b=[0, 2.5]", "--truth", "a=1")
    {'a': 1.0, 'b': [0.0, 2.5]}

    Raises:
        UsageError: for values that are not numbers.
    """
    return {name: _number(value, text, option, example) for name, value in assigned(text, option, example).items()}


def space_in(texts: Sequence[str]) -> Any:
    """A space: `energy=40:50` an interval, `times=0:24:5` a vector of five numbers in one, `energy=[40,45,50]` or `kind=[a,b]`
    levels, `energy=43` a setting that is held.

    >>> space_in(["energy=40:50", "kind=[a,b]"])
    Space(energy in [40, 50], kind one of a, b)

    Raises:
        UsageError: for anything else.
    """
    from quincunx.design import Space

    settings: dict[str, Any] = {}
    for text in texts:
        for name, value in assigned(text, "--settings", "energy=40:50").items():
            if name in settings:
                raise UsageError(f'got the setting {name} twice in --settings; expected it once; write "{name}=40:50"')
            settings[name] = _range(name, value)
    return Space(settings)


def design_in(text: str, option: str, space: Any) -> dict[str, Any]:
    """A design of a space, with names of levels where the space has such; the numbers of a vector are parted by commas.

    >>> from quincunx.design import Space
    >>> design_in("energy=45,kind=b", "--override", Space(energy=(40.0, 50.0), kind=["a", "b"]))
    {'energy': 45.0, 'kind': 1.0}
    >>> design_in("times=1,2.5,6", "--override", Space(times=(0.0, 24.0, 3)))
    {'times': (1.0, 2.5, 6.0)}

    Raises:
        UsageError: for values that are no numbers. NameMismatch, DesignOutsideSpace: for settings that the space does not have or allow.
    """
    labels, lengths, found = dict(space.labels), dict(space.lengths), {}
    example = ",".join(
        f"{name}={labels[name][0] if name in labels else ','.join([f'{ends[0]:g}'] * lengths.get(name, 1))}"
        for name, ends in space.bounds
    )
    for name, value in assigned(text, option, example).items():
        if value in labels.get(name, ()):
            found[name] = float(labels[name].index(value))
            continue
        number = _number(value, text, option, example)
        if name in dict(space.bounds) and (len(number) if isinstance(number, list) else None) != lengths.get(name):
            expected = f"{lengths[name]} numbers" if name in lengths else "one number"
            raise DesignOutsideSpace(f"got {name}={value}; expected {expected}; write {option} {example}")
        found[name] = number
    return space.check(found)


def _range(name: str, text: str) -> Any:
    low, colon, high = text.partition(":")
    try:
        if colon:
            high, again, length = high.partition(":")
            return (float(low), float(high), int(length)) if again else (float(low), float(high))
        if not text.startswith("["):
            return [float(text)]
    except ValueError:
        raise UsageError(
            f"got the setting {name}={text}; expected LOW:HIGH, LOW:HIGH:LENGTH, a list [A,B,...] of levels, or one number; write {name}=0:1"
        ) from None
    levels = [level.strip() for level in text.strip("[]").split(",") if level.strip()]
    try:
        return [float(level) for level in levels]
    except ValueError:
        return levels


def _number(value: str, text: str, option: str, example: str) -> Any:
    try:
        read = json.loads(f"[{value}]" if "," in value and not value.startswith("[") else value)
        return [float(number) for number in read] if isinstance(read, list) else float(read)
    except (ValueError, TypeError):
        raise UsageError(
            f'got {option} "{text}", in which {value} is no number; expected numbers; write for example {option} {example}'
        ) from None
