"""A text that matches a regular expression, for its plain parts: letters, classes, groups, alternatives and counts."""

from agentcomm.testing.choices import Choices

__all__ = ("text_matching",)

_DIGITS = "0123456789"
_WORD = "abcxyzABCXYZ_" + _DIGITS
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": " ", "D": "a-", "W": "-. ", "S": _WORD}
_MORE = 3
"""How often `*` and `+` repeat beyond what they must."""


def text_matching(pattern: str, choices: Choices) -> str:
    """Return a text that a pattern is likely to match; whoever needs to be sure asks the pattern."""
    return "".join(_Reader(pattern, choices).alternatives())


class _Reader:
    """Reads a pattern from left to right, and makes text as it goes."""

    def __init__(self, pattern: str, choices: Choices) -> None:
        self.left = list(pattern)
        self.choices = choices

    def alternatives(self) -> list[str]:
        ways = [self.sequence()]
        while self.left[:1] == ["|"]:
            self.left.pop(0)
            ways.append(self.sequence())
        return self.choices.pick(ways)

    def sequence(self) -> list[str]:
        made: list[str] = []
        while self.left and self.left[0] not in "|)":
            start = list(self.left)
            one = self.atom()
            times = self.count()
            if times != 1:
                rest, one = self.left, ""
                for _ in range(times):
                    self.left = list(start)
                    one += self.atom()
                self.left = rest
            made.append(one)
        return made

    def atom(self) -> str:
        head = self.left.pop(0)
        if head == "(":
            if self.left[:2] == ["?", ":"]:
                del self.left[:2]
            inner = "".join(self.alternatives())
            self.left[:1] = []
            return inner
        if head == "[":
            return self.choices.pick(self.members())
        if head == "\\" and self.left:
            name = self.left.pop(0)
            return self.choices.pick(_CLASSES[name]) if name in _CLASSES else "" if name in "bAZz" else name
        if head in "^$":
            return ""
        return self.choices.pick(_WORD) if head == "." else head

    def members(self) -> str:
        """Return the characters of a class such as `[A-Z0-9_]`."""
        refuses = self.left[:1] == ["^"]
        found = ""
        while self.left:
            char = self.left.pop(0)
            if char == "]" and found:
                break
            if char == "\\" and self.left:
                char = self.left.pop(0)
                found += _CLASSES.get(char, char)
            elif len(self.left) > 1 and self.left[0] == "-" and self.left[1] != "]":
                self.left.pop(0)
                last = self.left.pop(0)
                found += "".join(map(chr, range(ord(char), ord(last) + 1)))
            else:
                found += char
        if refuses:
            return "".join(char for char in _WORD + "-., " if char not in found) or "~"
        return found or "]"

    def count(self) -> int:
        """Return how often the atom just read is said."""
        low, high = 1, 1
        head = self.left[0] if self.left else ""
        if head in ("*", "+", "?") and head:
            self.left.pop(0)
            low, high = {"*": (0, _MORE), "+": (1, 1 + _MORE), "?": (0, 1)}[head]
        elif head == "{" and "}" in self.left:
            end = self.left.index("}")
            least, comma, most = "".join(self.left[1:end]).partition(",")
            del self.left[: end + 1]
            low = int(least or 0)
            high = int(most) if most else low + _MORE if comma else low
        if self.left[:1] == ["?"] and (low, high) != (1, 1):
            self.left.pop(0)
        return self.choices.integer(low, high)
