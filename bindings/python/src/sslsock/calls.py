"""Calls from the library into Python that an interrupt cannot cut short before they have begun.

An ordinary Python function could be interrupted (Ctrl-C) before its first line, where no `try` of its own helps, and
ctypes would then answer whatever happened to be in memory, perhaps 0: success. A generator goes on inside its `try`.
"""

import ctypes
import functools
from typing import Any, Callable, Dict, Generator, List, Optional, Sequence

from .constants import SSL_ERR_FAILED


_PLAIN: Any = ctypes.CFUNCTYPE(ctypes.c_int32)


class Call:
    """A C function that calls `work` with the values of its arguments, whose types are `kinds`; it answers what that does,
    or SSL_ERR_FAILED if there was an exception, which is kept in `error`. One thread at a time. It has to live as long as
    there may be calls.

    The C function is min() with a generator's `send` for its key: so the generator gets one argument after the other. For
    the result ctypes asks one of them for its __index__, which is the generator's next value.
    """

    def __init__(self, kinds: Sequence[Any], work: Callable[..., int]) -> None:
        self._numbers: Dict[Any, Any] = {}
        self._state = _State(work)
        answers = _answers(self._state, len(kinds))
        next(answers)
        self._numbers = {kind: type("Number", (kind,), {}) for kind in kinds}
        for number in self._numbers.values():
            # Only now: what a class of numbers is made with goes to one for the other order of bytes, too.
            number.__index__ = answers.__next__
        arguments = tuple(self._numbers[kind] for kind in kinds)
        # Not by CFUNCTYPE, which keeps every type for good.
        members = {"_argtypes_": arguments, "_restype_": ctypes.c_int32, "_flags_": _PLAIN._flags_}
        self.pointer: Any = type("Function", (_PLAIN,), members)(functools.partial(min, key=answers.send))

    def __del__(self) -> None:
        # The garbage collector does not see what a function's type refers to, and would leave the circle alone.
        for number in self._numbers.values():
            del number.__index__

    @property
    def error(self) -> Optional[BaseException]:
        """What the last call has raised."""
        return self._state.error

    def let_go(self) -> None:
        """There will be no call any more."""
        self._state.work = None


class _State:
    error: Optional[BaseException] = None

    def __init__(self, work: Callable[..., int]) -> None:
        self.work: Optional[Callable[..., int]] = work

    def run(self, arguments: List[Any]) -> int:
        if self.work is None:
            raise RuntimeError("called after the handshake")
        return self.work(*(argument.value or 0 for argument in arguments))


def _answers(state: _State, count: int) -> Generator[int, Any, None]:
    answer, working = SSL_ERR_FAILED, False
    arguments: List[Any] = []
    while True:
        try:
            given = yield answer
            if given is not None:
                arguments.append(given)
                continue
            working, answer = True, SSL_ERR_FAILED
            # Fewer if an interrupt came in between.
            if state.error is None and len(arguments) == count:
                answer = state.run(arguments)
            arguments, working = [], False
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not working:
                return
            state.error, answer, arguments, working = error, SSL_ERR_FAILED, [], False
