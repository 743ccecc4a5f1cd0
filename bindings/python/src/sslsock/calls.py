"""Calls from the library into Python that an interrupt cannot cut short before they have begun.

An ordinary Python function could be interrupted (Ctrl-C) before its first line, where no `try` of its own helps, and
ctypes would then answer whatever happened to be in memory, perhaps 0: success. A generator goes on inside its `try`.
"""

import ctypes
import functools
from typing import Any, Callable, Generator, List, Optional, Sequence

from .constants import SSL_ERR_FAILED


_PLAIN: Any = ctypes.CFUNCTYPE(ctypes.c_int32)


class Call:
    """A C function that calls `work` with the values of its arguments, whose types are `kinds`; it answers what that does,
    or SSL_ERR_FAILED if there was an exception, which is kept in `error`. One thread at a time.

    The C function is min() with a generator's `send` for its key: so the generator gets one argument after the other. For
    the result ctypes asks one of them for its __index__, which is the generator's next value.
    """

    def __init__(self, kinds: Sequence[Any], work: Callable[..., int]) -> None:
        self.error: Optional[BaseException] = None
        self._work: Optional[Callable[..., int]] = work
        answers = _answers(self, len(kinds))
        next(answers)
        numbers = {kind: type("Number", (kind,), {"__index__": answers.__next__}) for kind in kinds}
        arguments = tuple(numbers[kind] for kind in kinds)
        # Not by CFUNCTYPE, which keeps every type for good.
        members = {"_argtypes_": arguments, "_restype_": ctypes.c_int32, "_flags_": _PLAIN._flags_}
        self.pointer: Any = type("Function", (_PLAIN,), members)(functools.partial(min, key=answers.send))

    def let_go(self) -> None:
        """There will be no call any more."""
        self._work = None

    def run(self, arguments: List[Any]) -> int:
        if self._work is None:
            raise RuntimeError("called after the handshake")
        return self._work(*(argument.value or 0 for argument in arguments))


def _answers(call: Call, count: int) -> Generator[int, Any, None]:
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
            if call.error is None and len(arguments) == count:
                answer = call.run(arguments)
            arguments, working = [], False
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not working:
                return
            call.error, answer, arguments, working = error, SSL_ERR_FAILED, [], False
