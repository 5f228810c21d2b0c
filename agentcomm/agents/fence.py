r"""Data of others in a prompt, written so that it stays data.

A server reads the marks of its chat template wherever they stand, so a line of a log could end the message it stands in, and a
model reads an invisible character or a turned-round text as readily as a plain one. What stands between our words is written
without both: `\u003c` is the same character in JSON, and a model that copies it says what was there.
"""

import re

__all__ = ("fenced",)

_MARKS = re.compile(
    r"<(?=[\w|/!\uff5c\u2581\u200b-\u200f\u2060])"  # <|im_end|>, </s>, <start_of_turn>, the fullwidth bar
    r"|\[(?=/?[A-Z_]+\])"  # [INST], [/INST]
    r"|[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc"
    r"\U000e0000-\U000e0fff]"
)
"""Where a mark of a chat template could begin, and characters that are not seen or that turn a text round."""


def fenced(text: str) -> str:
    """Return data in which no model server finds a mark of its chat template, and no character that cannot be seen.

    Applied twice, it changes nothing more. Line ends stay.
    """
    return _MARKS.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:  # noqa: PLR2004  (the plane that one escape of JSON reaches)
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
