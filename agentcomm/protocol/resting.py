"""Let the garbage collector rest where much is made that has no circles: it would look through all of it again and again."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ("resting",)


@contextmanager
def resting(*, big: bool) -> Generator[None]:
    """Switch the collector off for the block, if there is much to be made and nobody else has switched it off."""
    rest = big and gc.isenabled()
    if rest:
        gc.disable()
    try:
        yield
    finally:
        if rest:
            gc.enable()
