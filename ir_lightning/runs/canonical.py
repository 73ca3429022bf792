"""The form in which two descriptions of one object are equal, whatever they leave to defaults."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from hydra.utils import get_object

from ir_lightning.names import current_name

SPEED = frozenset({"capturable", "foreach", "fused"})
"""Arguments of ``torch.optim`` that choose between implementations of the same step."""


def canonical(value: Any) -> Any:
    """A configuration's value as JSON knows it, freed from what changes nothing.

    An object (a mapping with a ``_target_``) is its stable name and those arguments that differ
    from its constructor's defaults, so that neither a new argument with its default nor a file that
    was moved is seen. Of other mappings, entries that are null are left out: a loss term, say, that
    is switched off. 1.0 is 1, and a tuple is a list.

    Args:
        value: plain and resolved.
    """
    if isinstance(value, Mapping):
        if "_target_" in value:
            return canonical_object(value)
        return {str(key): canonical(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def canonical_object(node: Mapping[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """The canonical form of a mapping with a ``_target_``.

    Args:
        node: plain and resolved.
        known: arguments whose default is None, or which have none. The class, which may take
            seconds to import, is looked at only if there are others.
    """
    name = current_name(str(node["_target_"]))
    given = {
        key: canonical(value)
        for key, value in node.items()
        if not (key.startswith("_") and key.endswith("_")) or key == "_args_"
    }
    if name.startswith("torch.optim."):
        given = {key: value for key, value in given.items() if key not in SPEED}
    defaults = dict.fromkeys(known)
    if given.keys() - defaults.keys():
        defaults |= _defaults_of(name)
    different = {
        key: value
        for key, value in given.items()
        if key not in defaults or value != canonical(defaults[key])
    }
    return {"_target_": name, **different}


def _defaults_of(target: str) -> dict[str, Any]:
    """Default values of the arguments of a class or function, by name.

    Where a constructor hands ``**kwargs`` on, those of the classes that it inherits from count too.
    """
    try:
        made = get_object(target)
    except Exception:  # whoever builds it will say what is wrong
        return {}
    defaults: dict[str, Any] = {}
    seen: set[str] = set()
    for step in made.__mro__ if inspect.isclass(made) else (made,):
        try:
            parameters = inspect.signature(step).parameters
        except (TypeError, ValueError):  # made of C, and says nothing
            break
        for name, parameter in parameters.items():
            if name not in seen and parameter.default is not parameter.empty:
                defaults[name] = parameter.default
        seen.update(parameters)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            break
    return defaults
