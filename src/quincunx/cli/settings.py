"""``--set NAME=VALUE``: options of a method and of its training, from the command line."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from quincunx.errors import UsageError


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Names and values; a value is read as JSON where it is JSON, and as text where it is not.

    >>> parse_settings(["members=5", "density=affine", "epochs=40"])
    {'members': 5, 'density': 'affine', 'epochs': 40}

    Raises:
        UsageError: not of the form NAME=VALUE.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"got --set {pair}; write --set NAME=VALUE, for example --set members=5")
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found


def configured(method: Any, settings: dict[str, Any]) -> Any:
    """A method, or the one of a name, with these settings: its own options, and those of training by their names in ``FitSettings``.

    Raises:
        UnknownMethod: no such method.
        UsageError: it has no option of that name.
    """
    from quincunx.infer import method_named
    from quincunx.learn import FitSettings
    from quincunx.model import Reference

    plain = method_named(method)
    own = {field.name for field in dataclasses.fields(plain)} - {"settings"}
    training = {field.name for field in dataclasses.fields(FitSettings)}
    unknown = sorted(set(settings) - own - training)
    if unknown:
        raise UsageError(
            f"method {plain.name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(own))}; "
            f"training has {', '.join(sorted(training))}"
        )
    options = {name: value for name, value in settings.items() if name in own}
    fitting = {name: value for name, value in settings.items() if name not in own}
    given = options.get("reference")
    try:
        if isinstance(given, (dict, list)):
            options["reference"] = Reference.mixture([given] if isinstance(given, dict) else given)
        chosen = method_named(method, **options)
        if not fitting:
            return chosen
        # what is not said stays as the method trains by itself
        return dataclasses.replace(
            chosen,
            settings=dataclasses.replace(getattr(chosen, "settings", None) or chosen.default_settings, **fitting),
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"method {plain.name} cannot take these settings ({error})") from error
