"""Dataclasses whose methods are made when they are first used.

The standard library writes and compiles six methods for each class, which takes half a
millisecond; a command loads hundreds of classes and uses a few. Here a class has fields, slots
and defaults at once, and stand-ins for the methods. The first that is called has the standard
library make all of them. For type checkers this is `dataclasses.dataclass` itself.
"""

from __future__ import annotations

import dataclasses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
    from typing import Any, Final
else:

    def dataclass(*, slots: bool, frozen: bool = False, eq: bool = True) -> Callable[[type], type]:
        """`dataclasses.dataclass` with these arguments; a class may bring methods of its own."""

        def make(cls: type) -> type:
            wanted = _METHODS if eq else _METHODS[:2]
            missing = [name for name in wanted if name not in vars(cls)]
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            for name in missing:
                setattr(made, name, _stand_in(made, name))
            _waiting[made] = missing, frozen
            if frozen:
                made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
            elif eq:
                made.__hash__ = None
            return made

        return make


__all__ = ["complete", "dataclass"]
_METHODS: Final = ("__init__", "__repr__", "__eq__", "__hash__")
_waiting: Final[dict[type, tuple[list[str], bool]]] = {}
"""Classes without methods yet: those that are missing, and whether the class is frozen."""


def complete() -> None:
    """Make what all the classes loaded so far lack, for a program that has the time now."""
    for cls in list(_waiting):
        _complete(cls)


def _stand_in(cls: type, name: str) -> Callable[..., Any]:
    def method(self: object, *arguments: object, **named: object) -> Any:
        _complete(cls)
        return getattr(cls, name)(self, *arguments, **named)

    return method


def _complete(cls: type) -> None:
    """Give the class the methods that a common dataclass of the same fields gets."""
    missing, frozen = _waiting.pop(cls)
    fields = dataclasses.fields(cls)
    body: dict[str, Any] = {one.name: _again(one) for one in fields}
    body["__annotations__"] = {one.name: one.type for one in fields}
    body |= {"__module__": cls.__module__, "__doc__": cls.__doc__ or cls.__name__}
    whole: type = dataclasses.dataclass(frozen=frozen)(type(cls.__name__, (), body))
    for name in missing:
        setattr(cls, name, vars(whole)[name])


def _again(one: dataclasses.Field[Any]) -> Any:
    """The field as it was written: one that belongs to a class cannot be another's."""
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
    return dataclasses.field(**{name: getattr(one, name) for name in names})


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
