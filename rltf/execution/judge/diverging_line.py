"""Where a program parts from a reference: two traces of values in, a statement of the program out. Pure functions.

Programs that are alike, statement for statement of the same kind, as a whole or in what they executed, are compared
value for value: the first value that is another one diverges (the value of a loop's name only if what is computed from
it is another one, too).

Others are aligned, so that the fewest values are replaced, or computed by one of them alone. A value is out of step
where the alignment gives it no equal partner, and forgiven where the next value that was computed from it is in step:
there the programs come to the same by different ways. The first one that is not forgiven diverges, if the program has
computed all values that the reference had computed by then; else they have too little in common to tell.

Where nothing is out of step, or all is forgiven, the answer itself diverges: the value that was computed last, or the
first that was printed wrongly.

| program, against its reference | diverging statement |
|---|---|
| one wrong value | the one that computed it, whatever it is used for |
| a loop of one round less or more | the header of the loop |
| a branch that should not be taken | the header of the branch |
| a function that is called with a wrong value | the call |
| `for i in range(len(xs)): s += xs[i]` for `for x in xs: s += x` | none: `i` is no `x`, but every `s` is right |
| a result that is printed or dropped, not returned | the one that did so, as the last one |
| another algorithm | none, unless all values of the reference are among its own up to the diverging one |
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Protocol

from rltf.execution.inside.printed import prefix_numbers, words_of
from rltf.execution.inside.sites import Kind, Site
from rltf.execution.judge.alignment import Alignment
from rltf.execution.judge.traced_program import Event, TracedProgram, are_alike

LOOK_AHEAD = 200
"""Values behind another among which what was computed from it is looked for."""


def diverging_site(program: TracedProgram, reference: TracedProgram, printed: str | None) -> Site | None:
    """The program's statement that diverges from the reference; None where none can be told.

    Args:
        program: gives a wrong answer.
        reference: gives the right one.
        printed: what should be printed, where that is the answer.
    """
    if not program.events or not reference.events:
        return None
    values = _Values(program, printed)
    comparison: _Comparison = (
        _ByPosition(values, reference) if are_alike(program, reference) else _ByAlignment(values, reference)
    )
    for at, (site, _) in enumerate(values.events):
        if at == values.answer:
            return values.blamed(at) if comparison.covers(at) else None
        if site.kind is Kind.STATEMENT:
            continue
        in_step = comparison.in_step(at)
        if in_step is None:
            return None
        if not in_step and not _is_forgiven(values, comparison, at):
            return values.blamed(at) if comparison.covers(at) else None
    return None


class _Comparison(Protocol):
    """A way to compare the values of a program with those of a reference; values are named by their position."""

    def in_step(self, at: int) -> bool | None:
        """Whether the reference has a value, too; None where that cannot be told, as its trace was cut."""

    def may_forgive(self, at: int) -> bool:
        """Whether a value may be out of step if nothing comes of it."""

    def covers(self, at: int) -> bool:
        """Whether the program has computed what the reference had computed before it came to a value."""


def _is_forgiven(values: _Values, comparison: _Comparison, at: int) -> bool:
    """Whether the next value that was computed from one is in step, or none was."""
    if not comparison.may_forgive(at):
        return False
    computed = values.computed_from(at)
    if computed is None:
        return values.events[at].site.kind.is_value
    if computed == values.answer:
        return False
    return values.events[computed].site.kind is Kind.STATEMENT or comparison.in_step(computed) is not False


class _ByPosition:
    """Programs that are alike."""

    def __init__(self, values: _Values, reference: TracedProgram) -> None:
        program = values.program
        counterparts = {number: number for number in program.executed}
        if program.shape != reference.shape:
            counterparts = dict(zip(program.executed, reference.executed, strict=True))
        self._trace = [(counterparts[number], value) for number, value in program.trace.events]
        self._reference, self._cut = reference.trace.events, reference.trace.cut
        self._values = values

    def in_step(self, at: int) -> bool | None:
        if at >= len(self._reference):
            return None if self._cut else False
        return self._trace[at] == self._reference[at]

    def may_forgive(self, at: int) -> bool:
        same_site = at < len(self._reference) and self._trace[at][0] == self._reference[at][0]
        return same_site and self._values.events[at].site.kind is Kind.ROUND

    def covers(self, at: int) -> bool:
        return True


class _ByAlignment:
    """Programs of different statements."""

    def __init__(self, values: _Values, reference: TracedProgram) -> None:
        end = len(values.events) if values.answer is None else values.answer
        if values.answer is not None and values.events[end].site.kind is not Kind.RETURN:
            end += 1
        aligned = [at for at, (site, _) in enumerate(values.events[:end]) if site.kind is not Kind.STATEMENT]
        self._place = {at: place for place, at in enumerate(aligned)}
        self._keys = [_key(values.events[at]) for at in aligned]
        events = [event for event in reference.events if event.site.kind is not Kind.STATEMENT]
        self._reference_keys = [_key(event) for event in events]
        self._value_places = [place for place, (site, _) in enumerate(events) if site.kind.is_value]
        """Places of the reference's events that compute a value."""
        self._cut, self._answer = reference.trace.cut, values.answer
        self._alignment = Alignment(self._keys, self._reference_keys)

    def in_step(self, at: int) -> bool | None:
        place = self._place[at]
        if self._cut and self._alignment.is_behind_the_end(place):
            return None
        return self._has_equal(place)

    def may_forgive(self, at: int) -> bool:
        return True

    def covers(self, at: int) -> bool:
        places = range(next((place for position, place in self._place.items() if position >= at), len(self._place)))
        partners = {self._alignment.partner(place): self._has_equal(place) for place in places}
        if at in self._place and (partner := self._alignment.partner(self._place[at])) is not None:
            partners[partner] = False
        end = max((partner for partner in partners if partner is not None), default=0)
        value_places = [place for place in self._value_places if place < end]
        return all(partners.get(place) for place in value_places) if value_places else at == self._answer

    def _has_equal(self, place: int) -> bool:
        partner = self._alignment.partner(place)
        return partner is not None and self._keys[place] == self._reference_keys[partner]


def _key(event: Event) -> tuple[Kind | None, int]:
    """What an event shares with its equal in another program: the value, whatever statement computed it."""
    return (None if event.site.kind.is_value else event.site.kind), event.value


class _Values:
    """The values of a program up to the answer."""

    def __init__(self, program: TracedProgram, printed: str | None) -> None:
        self.program, self.events = program, program.events
        self._reads = cache(lambda site: names_in(site.reads))
        self._overwritten = cache(overwritten)
        self._inside = cache(self._written_inside)
        self.answer = None if printed is None else self._first_wrong_print(printed)
        """Position of the wrong answer; None: the trace was cut before it."""
        if self.answer is None and not program.trace.cut:
            self.answer = len(self.events) - 1

    def _first_wrong_print(self, printed: str) -> int | None:
        numbers = {
            at: number for at, (site, number) in enumerate(self.events) if number and site.kind is Kind.STATEMENT
        }
        right = prefix_numbers(printed, set(map(words_of, numbers.values())))
        return next((at for at, number in numbers.items() if number not in right), None)

    def computed_from(self, at: int) -> int | None:
        """Position of the next value that was computed from one, or of the next branch that depends on it; None where
        there is none."""
        site = self.events[at].site
        next_value = next((position for position in self._positions_behind(at) if self._is_telling(position)), None)
        if next_value is None or site.kind is Kind.RETURN or self._decides(site, self.events[next_value].site):
            return next_value
        names = names_in(site.writes) if site.kind.is_value else self._inside(site)
        branch = None
        for position in self._positions_behind(at):
            reader = self.events[position].site
            if reader.scope != site.scope and reader.scope and site.scope:
                continue
            if names & self._reads(reader):
                if reader.kind.is_value or reader.kind is Kind.STATEMENT:
                    return position
                branch = position if branch is None else branch
            if reader.kind in (Kind.VALUE, Kind.ROUND):
                names -= self._overwritten(reader)
                if not names:
                    break
        return next_value if branch is None and not site.kind.is_value else branch

    def _positions_behind(self, at: int) -> Iterator[int]:
        """Positions behind one, up to the answer, without statements that printed nothing."""
        end = len(self.events) if self.answer is None else self.answer + 1
        for position in range(at + 1, min(end, at + LOOK_AHEAD)):
            site, value = self.events[position]
            if site.kind is not Kind.STATEMENT or value or position == self.answer:
                yield position

    def _is_telling(self, at: int) -> bool:
        """True for a value, and for the answer, whatever it is; that a condition held says little."""
        return at == self.answer or self.events[at].site.kind in _TELLING

    def _decides(self, site: Site, following: Site) -> bool:
        """Whether a branch led into the block that the next value stands in."""
        return (
            not site.kind.is_value and following.scope == site.scope and site.line < following.line <= site.last_inside
        )

    def _written_inside(self, site: Site) -> frozenset[str]:
        """The names that the blocks of a statement give values to."""
        inside = (s for s in self.program.sites if s.scope == site.scope and site.line <= s.line <= site.last_inside)
        return frozenset().union(*(names_in(s.writes) for s in inside if s.kind.is_value))

    def blamed(self, at: int) -> Site:
        """The statement to blame for a value; for one that a function was called with, the call, which is the first to
        name the function after it has returned."""
        site = self.events[at].site
        if site.kind is not Kind.ENTRY:
            return site
        name, calls = names_in(site.reads), 0
        for position in range(at, len(self.events)):
            candidate = self.events[position].site
            if calls < 0 and candidate.kind is not Kind.ENTRY and name & self._reads(candidate):
                return candidate
            if calls >= 0 and candidate.scope == site.scope:
                calls += (candidate is site and position > at) - (candidate.kind is Kind.RETURN)
        return site


_TELLING = (Kind.VALUE, Kind.RETURN, Kind.ENTRY, Kind.ROUND, Kind.STATEMENT)


def overwritten(site: Site) -> frozenset[str]:
    """The names whose former value is gone behind a statement."""
    return frozenset(node.id for node in site.writes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def names_in(nodes: Sequence[ast.AST]) -> frozenset[str]:
    """The names in pieces of code, and those of attributes with what is in front of the dot."""
    names = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(f"{node.value.id}.{node.attr}")
    return frozenset(names)
