"""A mapping that cannot change. Other than `types.MappingProxyType`, it can be pickled, copied and hashed."""

from collections.abc import Iterator, Mapping


class FrozenMap(Mapping[str, str]):
    """Texts by name, in the order of the names. `repr` shows only the names."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items: dict[str, str] = dict(sorted((items or {}).items()))

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap(names: {', '.join(self._items) or 'none'})"
