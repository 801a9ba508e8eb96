"""The source of a method as a syntax tree that compiles to the method's own code.

From an instruction to the expression it came from: by the columns that Python 3.11 and later keep
for every instruction, and otherwise by counting: the tree is compiled once more with every call on
a line of its own, and the instruction of the same number tells the call by its line.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any


class NotRewritable(Exception):
    """A call that can't be replaced; the message is a clause."""


@dataclass(frozen=True)
class Source:
    """The tree of a function.

    Attributes:
        function: the function.
        tree: the file it is in, without functions and classes it does not depend on.
        definition: the function in the tree.
    """

    function: FunctionType
    tree: ast.Module
    definition: ast.FunctionDef

    @property
    def calls(self) -> list[ast.Call]:
        """The call expressions inside the function."""
        nodes = (node for statement in self.definition.body for node in ast.walk(statement))
        return [node for node in nodes if isinstance(node, ast.Call)]

    def compiled(self) -> CodeType:
        """The code of the function as the tree has it now.

        The file is compiled, and not run: what a name means (closure, two underscores, super)
        depends on what is around the function, and its instructions on what is imported.
        """
        old = self.function.__code__
        whole = compile(self.tree, old.co_filename, "exec", dont_inherit=True)
        for code in _codes_in(whole):
            if (code.co_name, code.co_firstlineno) == (old.co_name, old.co_firstlineno):
                return code
        raise NotRewritable("its source does not define it")

    def copied(self) -> Source:
        """One whose tree may be changed."""
        memo: dict[int, Any] = {}
        tree = deepcopy(self.tree, memo)
        return Source(self.function, tree, memo[id(self.definition)])


def source_of(function: FunctionType) -> Source:
    """The tree of a function, checked to compile to the function's code. Not to be changed.

    Raises:
        NotRewritable: there is no source, or it is not what the function was made from.
    """
    try:
        lines, _ = inspect.findsource(function)
        return _parsed(function, "".join(lines))
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise NotRewritable("its source can't be found") from error


@functools.lru_cache(maxsize=64)
def _parsed(function: FunctionType, text: str) -> Source:
    tree = ast.parse(text)
    code = function.__code__
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef) and _is_of(node, code):
                tree.body = [one for one in tree.body if one is statement or not _defines(one)]
                source = Source(function, tree, node)
                if not _same(source.compiled(), code):
                    raise NotRewritable("its source is not what it was compiled from")
                return source
    raise NotRewritable("its source does not define it in a def statement")


def _is_of(node: ast.FunctionDef, code: CodeType) -> bool:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return (node.name, first) == (code.co_name, code.co_firstlineno)


def _defines(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def call_at(source: Source, code: CodeType, instruction: int) -> ast.Call:
    """The call expression an instruction came from.

    Args:
        source: of the function that holds `code`.
        code: the function's code, or one nested in it.
        instruction: offset in `code`.

    Raises:
        NotRewritable: the instruction is no call (`x + y`), or can't be told from others.
    """
    end = _end_of(code, instruction)
    if end is None:
        return _call_by_number(source, code, instruction)
    for node in source.calls:
        if (node.end_lineno, node.end_col_offset) == end:
            return node
    raise NotRewritable("it is no call expression")


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes_in(one)


def _same(first: CodeType, second: CodeType) -> bool:
    """Whether two code objects do the same, wherever their lines are."""
    for name in ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags"):
        if getattr(first, name) != getattr(second, name):
            return False
    pairs = zip(first.co_consts, second.co_consts, strict=False)
    return len(first.co_consts) == len(second.co_consts) and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else _equal(a, b)
        for a, b in pairs
    )


def _equal(first: object, second: object) -> bool:
    # repr tells 1 from True and 0.0 from -0.0; a set's order is its own
    if isinstance(first, frozenset):
        return first == second
    return type(first) is type(second) and repr(first) == repr(second)


# --- by columns ---------------------------------------------------------------------------------


def _end_of(code: CodeType, instruction: int) -> tuple[int, int] | None:
    """Line and column behind an instruction's expression; None where Python does not keep them.

    No two call expressions end at the same place, while f(x) and f(x)(y) begin at one.
    """
    if not hasattr(code, "co_positions"):
        return None
    for index, (_, end_line, _, end_column) in enumerate(code.co_positions()):
        if index == instruction // 2 and end_line is not None and end_column is not None:
            return end_line, end_column
    return None


# --- by counting --------------------------------------------------------------------------------


def _call_by_number(source: Source, code: CodeType, instruction: int) -> ast.Call:
    twin = source.copied()
    for number, call in enumerate(twin.calls):
        for node in (call, call.func):  # up to 3.10 a method's call has the line of its name
            node.lineno = node.end_lineno = _FIRST_LINE + number
            node.col_offset = node.end_col_offset = 0
    numbered = _counterpart(source.function.__code__, code, twin.compiled())
    # During a call the offset is that of the instruction, or of the caches behind it.
    begun = max(one.offset for one in dis.get_instructions(code) if one.offset <= instruction)
    offsets = _call_offsets(code)
    if numbered is None or begun not in offsets:
        raise NotRewritable("it is no call expression")
    line = _line_at(numbered, _call_offsets(numbered)[offsets.index(begun)])
    if not _FIRST_LINE <= line < _FIRST_LINE + len(source.calls):
        raise NotRewritable("it is no call expression")
    return source.calls[line - _FIRST_LINE]


_FIRST_LINE = 1_000_000  # no line of a file


def _counterpart(whole: CodeType, part: CodeType, other: CodeType) -> CodeType | None:
    """What is in `other` where `part` is in `whole`."""
    if whole == part:
        return other
    for one, its_other in zip(whole.co_consts, other.co_consts, strict=True):
        if isinstance(one, CodeType) and isinstance(its_other, CodeType):
            found = _counterpart(one, part, its_other)
            if found is not None:
                return found
    return None


def _call_offsets(code: CodeType) -> list[int]:
    return [
        one.offset
        for one in dis.get_instructions(code)
        if one.opname.startswith(("CALL", "PRECALL")) and "INTRINSIC" not in one.opname
    ]


def _line_at(code: CodeType, offset: int) -> int:
    for first, end, line in code.co_lines():
        if first <= offset < end and line is not None:
            return line
    return 0
