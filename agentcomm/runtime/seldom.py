"""The garbage collector looks less often while a runtime is at work."""

import gc
import threading

__all__ = ("Seldom",)


class Seldom:
    """Has the collector look less often from `begin` to `end`, unless it is off or has been told to; several may want it at once.

    What is in many hands at once is looked through again and again else, and most of it is gone by itself soon.
    """

    _LATE = 10_000
    """Objects that come to be, less those that are gone, before it looks."""
    _lock = threading.Lock()
    _count = 0
    _before: tuple[int, int, int] | None = None

    def __init__(self) -> None:
        self._is_begun = False

    def begin(self) -> None:
        """Begin."""
        cls = Seldom
        with cls._lock:
            if self._is_begun:
                return
            self._is_begun = True
            cls._count += 1
            before = gc.get_threshold()
            if cls._count == 1 and 0 < before[0] < cls._LATE:
                cls._before = before
                gc.set_threshold(cls._LATE, *before[1:])

    def end(self) -> None:
        """End; the last of all puts it as it was, unless somebody has told it something else."""
        cls = Seldom
        with cls._lock:
            if not self._is_begun:
                return
            self._is_begun = False
            cls._count -= 1
            if not cls._count and cls._before is not None:
                if gc.get_threshold() == (cls._LATE, *cls._before[1:]):
                    gc.set_threshold(*cls._before)
                cls._before = None
