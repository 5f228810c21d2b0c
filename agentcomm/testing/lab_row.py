"""What came of one conversation of the laboratory, as counts."""

import msgspec

__all__ = ("Row",)


class Row(msgspec.Struct):
    """What came of one conversation."""

    messages: int = 0
    turns: int = 0
    """Goes of agents; what code says by itself is none."""
    words: int = 0
    """Words of all content: what stands for tokens where nobody counts them."""
    noise: int = 0
    """Errors that were put in; a needless question is none."""
    deeds: int = 0
    wrong: int = 0
    """Deeds that were done with a value that was not meant."""
    ungrounded: int = 0
    """Deeds that were done though what they build on lacked the evidence that the protocol asks for at these stakes."""
    checks_right: int = 0
    """Comparisons of what had been understood as meant."""
    alarms: int = 0
    """... that found a difference all the same."""
    needless: int = 0
    """Questions of a hearer who had understood."""
    repairs: int = 0
    mended: int = 0
    loops: int = 0
    """The same words in the same repair, said again."""
    refused: int = 0
    beyond: int = 0
    """Messages beyond the computed bound."""
    read_back: int = 0
    """Contributions that were read back."""
    counted: list[tuple[str, bool]] = []
    """What the core counted for later choices."""
    outcome: str = ""
    well: bool = False
