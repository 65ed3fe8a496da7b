"""What `structs.dataclass` makes is what `dataclasses.dataclass` makes, only later."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any, cast

import pytest

from enclos import structs


def family(decorator: Any, *, frozen: bool) -> tuple[Any, Any]:
    """A class and one that inherits from it, made by `decorator`."""

    @decorator(frozen=frozen, slots=True)
    class Base:
        name: str
        sizes: list[int] = field(default_factory=list[int])
        quiet: int = field(default=3, repr=False, compare=False)
        extra: str = field(default="", kw_only=True)

        def shout(self) -> str:
            return self.name.upper()

    @decorator(frozen=frozen, slots=True)
    class Child(Base):
        last: int = 0

    return Base, Child


BOTH = pytest.mark.parametrize("frozen", [True, False])


@BOTH
def test_they_are_made_shown_and_compared_alike(*, frozen: bool) -> None:
    for ours, theirs in zip(
        family(structs.dataclass, frozen=frozen),
        family(dataclasses.dataclass, frozen=frozen),
        strict=True,
    ):
        one, other = ours("a", [1], 2, extra="x"), theirs("a", [1], 2, extra="x")
        assert repr(one) == repr(other)
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
        assert one.shout() == "A"
        assert one == ours("a", [1], 99, extra="x")
        assert one != ours("b", [1], 2, extra="x")
        assert one != other
        assert dataclasses.replace(one, name="c") == ours("c", [1], extra="x")
        assert ours("a").sizes is not ours("a").sizes
        assert ours.__match_args__ == theirs.__match_args__
        assert ours.__slots__ == theirs.__slots__
        assert not hasattr(one, "__dict__")
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
            ours()
        with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
            ours("a", nonsense=1)


def test_a_frozen_one_is_fixed_and_has_a_hash() -> None:
    for decorator in (structs.dataclass, dataclasses.dataclass):
        base, child = family(decorator, frozen=True)
        one = child("a", (), 1, 2)
        assert hash(one) == hash(child("a", (), 3, 2))
        assert hash(base("a", ())) != hash(base("b", ()))
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
            one.name = "b"
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'last'"):
            del one.last


def test_another_can_be_changed_and_has_none() -> None:
    for decorator in (structs.dataclass, dataclasses.dataclass):
        _, child = family(decorator, frozen=False)
        one = child("a")
        one.last = 4
        assert one == child("a", last=4)
        with pytest.raises(TypeError, match="unhashable"):
            hash(one)


@pytest.mark.parametrize("first", ["__repr__", "__eq__", "__hash__"])
def test_any_method_may_be_the_first(first: str) -> None:
    """An object can be there before: by unpickling, or `__new__`."""
    for decorator in (structs.dataclass, dataclasses.dataclass):
        base, _ = family(decorator, frozen=True)
        one = base.__new__(base)
        for name, value in {"name": "a", "sizes": (), "quiet": 1, "extra": "x"}.items():
            object.__setattr__(one, name, value)
        told = getattr(one, first)(*([one] if first == "__eq__" else []))
        wanted = {"__repr__": f"{base.__qualname__}(name='a', sizes=(), extra='x')",
                  "__eq__": True, "__hash__": hash(("a", (), "x"))}  # fmt: skip
        assert told == wanted[first]


def test_nothing_is_compiled_before_a_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = dataclasses.dataclass

    def watched(*arguments: Any, **named: Any) -> Any:
        if named.get("init", True):
            compiled.append("methods")
        return real(*arguments, **named)

    monkeypatch.setattr(dataclasses, "dataclass", watched)
    base, child = family(structs.dataclass, frozen=True)
    assert not compiled
    base("a")
    base("b")
    assert compiled == ["methods"]
    child("a")
    assert compiled == ["methods", "methods"]
    base, child = family(structs.dataclass, frozen=True)
    structs.complete()
    made = len(compiled)
    assert made >= 4
    assert child("a") == child("a")
    assert base("a") != child("a")
    assert len(compiled) == made


def test_methods_of_its_own_are_kept() -> None:
    @structs.dataclass(frozen=True, slots=True)
    class Shown:
        name: str

        def __repr__(self) -> str:
            return "own"

    assert repr(Shown("a")) == "own"
    assert Shown("a") == Shown("a")


def test_one_without_equality_is_equal_to_itself_alone() -> None:
    for decorator in (structs.dataclass, dataclasses.dataclass):
        body: dict[str, Any] = {"__annotations__": {"name": "str"}}
        made: Any = cast("Any", decorator)(frozen=True, slots=True, eq=False)(
            type("Token", (), body)
        )
        one = made("a")
        assert one != made("a")
        assert len({one, one, made("a")}) == 2
        assert repr(one) == "Token(name='a')"
