"""Plants a fault into a module that is loaded already, in a process that has no other purpose."""

from __future__ import annotations

import gc
import sys
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A code object of a function, in contrast to one of a class, has its variables in slots.
_IN_SLOTS: Final = 1

#: Values that other modules have imported under the same name, and nothing else is made of.
_PLAIN: Final = (int, float, Decimal, str, tuple, frozenset, timedelta)


def loaded_functions(folder: str) -> list[FunctionType]:
    """Give all functions that were loaded from below a folder: one look for all faults, since it takes long."""
    # isinstance() would ask objects that load a module when they are asked for their class.
    functions = [one for one in gc.get_objects() if type(one) is FunctionType]
    return [one for one in functions if one.__code__.co_filename.startswith(folder)]


def plant(module: ModuleType, source: str, faulty: str, loaded: Iterable[FunctionType]) -> bool:
    """Change a module's functions, constants and members of enums to those of another source.

    :param source: that the module was loaded from.
    :param faulty: the same with a fault.
    :param loaded: functions, the module's among them.
    :raises LookupError: if a function with the fault is not to be found.
    :return: whether the fault is within functions. One in a constant may have gone into what was made of it before;
        only a process that loads the module anew can tell that such a fault changes nothing.
    """
    old, new = (compile(text, str(module.__file__), "exec", dont_inherit=True) for text in (source, faulty))
    functions = [one for one in loaded if one.__code__.co_filename == module.__file__]
    for before, after in zip(_functions(old), _functions(new), strict=True):
        if before != after:
            changed = [function for function in functions if function.__code__ == before]
            if not changed:
                raise LookupError(f"{before.co_qualname} of {module.__file__} is not loaded.")
            for function in changed:
                function.__code__ = after
    if _rest(old) == _rest(new):
        return True
    _replace_constants(module, new)
    return False


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & _IN_SLOTS:
                yield constant
            else:
                yield from _functions(constant)


def _rest(code: CodeType) -> list[object]:
    """Give all that a module or a class does itself when it is loaded."""
    parts: list[object] = [code.co_code, code.co_names]
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            parts.append(repr(constant))
        elif not constant.co_flags & _IN_SLOTS:
            parts.append(_rest(constant))
    return parts


def _replace_constants(module: ModuleType, code: CodeType) -> None:
    values: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(code, values)  # noqa: S102
    for name, value in values.items():
        before = getattr(module, name, None)
        if isinstance(value, type) and issubclass(value, Enum):
            for member in value:
                before[member.name]._value_ = member.value  # type: ignore[index]
        elif isinstance(value, _PLAIN) and type(value) is type(before) and repr(value) != repr(before):
            for importer in list(sys.modules.values()):
                if getattr(importer, "__dict__", {}).get(name) is before:
                    setattr(importer, name, value)
