"""Read days, moments, times of day and durations as people and models write them: every possible reading.

`01/02/2026` is a day in February or in January; `4 pm EST` has two zones; `1:30` is hours or minutes. A zone is fixed by its
offset, by its IANA name, or by an abbreviation with all its meanings; `CET` in July has two, since people say it for `CEST`.

dateutil was measured (4.0, 31 ms) and not taken: it reads `2026-12-01` as 12 January when days come first, `UTC+1` as an hour
west, `Z` as the machine's own zone, and fills in what was not said. The standard library reads ISO 8601 and knows the zones.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from agentcomm.acts.content import parse_duration
from agentcomm.grounding.numbers import read_number

__all__ = ("Clock", "read_day", "read_duration", "read_when")

_LONGEST = 100
"""Characters of a time."""
_READINGS = 16
"""Readings of a duration."""
Clock = time
"""A time of day without its day; with a zone or without."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = re.compile(r"^(mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? +", re.IGNORECASE)
_MONTH = r"(?P<m>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?P<y>\d{4})"
_NAMED = (
    re.compile(rf"(?:the )?{_DAY}[ -](?:of )?{_MONTH},?[ -]{_YEAR}", re.IGNORECASE),
    re.compile(rf"{_MONTH} (?:the )?{_DAY},? {_YEAR}", re.IGNORECASE),
    re.compile(rf"{_YEAR}[ -]{_MONTH}[ -]{_DAY}", re.IGNORECASE),
)
_SHORT = re.compile(
    rf"(?P<d>\d{{1,2}})(?P<mark>[ -]){_MONTH}(?P=mark)(?P<late>['\u2019])?(?P<y>\d\d)", re.IGNORECASE
)
"""A year of two figures: `7-Aug-26`, `7 Aug '26`."""
_NTH = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_NTHS = (
    {word: n for n, word in enumerate(_NTH, 1)}
    | {f"twenty{mark}{word}": n for mark in "- " for n, word in enumerate(_NTH[:9], 21)}
    | {"thirtieth": 30, "thirty-first": 31, "thirty first": 31}
)
_IN_WORDS = re.compile(rf"\b(?:{'|'.join(sorted(_NTHS, key=len, reverse=True))})\b", re.IGNORECASE)
_FIGURES = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{4}|\d{1,2})")
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{4}-?W\d\d-?\d|\d{8}")
_ISO = re.compile(rf"(?:{_ISO_DAY.pattern})[T ]\d\d.*")

_ZONE = r"(?P<zone>Z\b|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?(?!\d)|[A-Za-z]+/[A-Za-z_]+(?:/[A-Za-z_]+)?|(?-i:[A-Z]{2,5}\b))?"
_AT = re.compile(
    rf"(?<![\d:.])(?:(?P<h>\d{{1,2}})(?:[:.](?P<min>\d\d)(?::(?P<s>\d\d)(?:\.(?P<f>\d{{1,6}}))?)?|h(?P<hm>\d\d)?)?"
    rf"(?: ?(?P<half>[ap])\.?m\b\.?)?|(?P<word>noon|midday|midnight))(?: ?(?:hours |hrs |h )?{_ZONE})",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    r"\b(?P<part>half|(?:a )?quarter) (?P<way>past|to) (?P<hour>1[0-2]|[1-9]|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r"\b(?P<half> ?[ap]\.?m\b)?",
    re.IGNORECASE,
)
_MILITARY = re.compile(
    r"(?<![\d.:/-])([01]\d|2[0-3])([0-5]\d)(?:(?= ?Z\b)| (?:hrs|hours)\b|h\b)|(?<=\bat )([01]\d|2[0-3])([0-5]\d)(?!\d)"
)
_H = 3600
_OFFSETS: dict[str, tuple[float, ...]] = {
    "Z": (0,), "UTC": (0,), "GMT": (0,), "WET": (0,), "WEST": (1,), "CET": (1,), "MEZ": (1,), "CEST": (2,), "MESZ": (2,),
    "EET": (2,), "EEST": (3,), "MSK": (3,), "JST": (9,), "KST": (9,), "SGT": (8,), "HKT": (8,), "AWST": (8,), "ACST": (9.5,),
    "AEST": (10,), "AEDT": (11,), "NZST": (12,), "NZDT": (13,), "EDT": (-4,), "CDT": (-5, -4), "MDT": (-6,), "PDT": (-7,),
    "EST": (-5, 10), "CST": (-6, 8, -5), "MST": (-7, 8), "PST": (-8, 8), "BST": (1, 6), "IST": (5.5, 2, 1), "AST": (-4, 3),
    "ET": (-5, -4), "CT": (-6, -5), "MT": (-7, -6), "PT": (-8, -7),
}  # fmt: skip
"""Hours east of Greenwich; where an abbreviation is used in several places, each of them."""
_SUMMER = {"CET": "Europe/Berlin", "MEZ": "Europe/Berlin", "EET": "Europe/Athens", "WET": "Europe/Lisbon"}
"""Winter times that people also say in summer, and a place that tells which it is."""

_UNITS = {
    "ms": 0.001, "millisecond": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600,
    "hour": 3600, "d": 86400, "day": 86400, "w": 604800, "wk": 604800, "week": 604800, "fortnight": 1209600,
}  # fmt: skip


def read_day(text: str) -> tuple[date, ...]:
    """Return the days that a whole text can be, nothing if it is none; what depends on today is none."""
    if len(text) > _LONGEST:
        return ()
    text = " ".join(text.split())
    weekday = _WEEKDAY.match(text)
    days = _days(text[weekday.end() :] if weekday else text)
    if weekday:
        days = [day for day in days if _WEEKDAYS[day.weekday()].startswith(weekday[1].lower()[:3])]
    return tuple(dict.fromkeys(days))


def _days(text: str) -> list[date]:
    if _ISO_DAY.fullmatch(text):
        return _made([text])
    text = _IN_WORDS.sub(lambda found: str(_NTHS[found[0].lower()]), text, count=1)
    if found := _SHORT.fullmatch(text):
        month, day, year = _month(found["m"].lower()), int(found["d"]), int(found["y"])
        both = [] if found["late"] or len(found["d"]) == 1 else [(2000 + day, month, year)]
        return _calendar([(2000 + year, month, day), *both]) if month else []
    for pattern in _NAMED:
        if found := pattern.fullmatch(text):
            month = _month(found["m"].lower())
            return _calendar([(int(found["y"]), month, int(found["d"]))]) if month else []
    if found := _FIGURES.fullmatch(text):
        return _calendar(_orders(found[1], found[2], found[3], found[4]))
    if found := re.fullmatch(r"(\d{4})/(\d{1,2})/(\d{1,2})", text):
        return _calendar([(int(found[1]), int(found[2]), int(found[3]))])
    return []


def _month(word: str) -> int:
    word = "sep" if word == "sept" else word
    if word in _MONTHS:
        return _MONTHS.index(word) + 1
    return _LONG.index(word) + 1 if word in _LONG else 0


def _orders(one: str, mark: str, two: str, three: str) -> list[tuple[int, int, int]]:
    """Return year, month and day in every order in which they are written."""
    a, b, c = int(one), int(two), int(three)
    if len(one) > 2:  # noqa: PLR2004  (a year of four digits first, and two digits of a day)
        return [(a, b, c)] if len(one) == 4 and len(three) <= 2 else []  # noqa: PLR2004
    year = c if len(three) == 4 else 2000 + c  # noqa: PLR2004
    found = [(year, b, a)] if mark == "." else [(year, b, a), (year, a, b)]
    return found if len(three) == 4 else [*found, (2000 + a, b, c)]  # noqa: PLR2004


def _calendar(parts: Iterable[tuple[int, int, int]]) -> list[date]:
    found: list[date] = []
    for year, month, day in parts:
        try:
            found.append(date(year, month, day))
        except ValueError:
            continue
    return found


def _made(texts: Iterable[str]) -> list[date]:
    found: list[date] = []
    for text in texts:
        try:
            found.append(date.fromisoformat(text))
        except ValueError:
            continue
    return found


def read_when(text: str) -> tuple[datetime | date | Clock, ...]:
    """Return what a whole text can be: moments, or days where it says no time, or times where it says no day."""
    if len(text) > _LONGEST:
        return ()
    text = " ".join(text.split())
    if _ISO.fullmatch(text):
        try:
            return (datetime.fromisoformat(text),)
        except ValueError:
            pass
    if days := read_day(text):
        return days
    if (spoken := _SPOKEN.search(text)) and (hour := _hour(spoken)):
        halves = ("",) if spoken["half"] else (" am", " pm")
        return tuple(
            dict.fromkeys(
                when
                for half in halves
                for when in read_when(f"{text[: spoken.start()]}{hour}{half}{text[spoken.end('hour') :]}")
            )
        )
    text = " ".join(_MILITARY.sub(lambda m: f"{m[1] or m[3]}:{m[2] or m[4]} ", text).split())
    for found in _AT.finditer(text):
        if (times := _times(found)) and (result := _joined(text, found, times)):
            return result
    return ()


def _hour(found: re.Match[str]) -> str:
    """Return a time of day that was said in words in figures, empty if it is none."""
    hours = read_number(found["hour"].lower())
    minutes = {"half": 30}.get(found["part"].lower(), 15)
    if not hours or (minutes == 30 and found["way"].lower() == "to"):  # noqa: PLR2004
        return ""
    hour = int(hours[0])
    if found["way"].lower() == "past":
        return f"{hour}:{minutes}"
    return f"{hour - 1 or 12}:{60 - minutes}"


def _joined(text: str, found: re.Match[str], times: list[time]) -> tuple[datetime | Clock, ...]:
    """Return the times with the day that the rest of the text says; nothing if the rest is none."""
    rest = f"{text[: found.start()]} {text[found.end() :]}"
    rest = " ".join(re.sub(r"(?i)\b(?:at|on|o'clock)\b|^T|T$", " ", rest).strip(" ,T").split())
    days = read_day(rest) if rest else ()
    if rest and not days:
        return ()
    zone = found["zone"] or ""
    if not days:
        return tuple(
            dict.fromkeys(moment.replace(tzinfo=place) for moment in times for place in _places(zone, None))
        )
    return tuple(
        dict.fromkeys(
            datetime.combine(day, moment, place)
            for day in (*days, *(each + timedelta(days=1) for each in days if _is_midnight(found)))
            for moment in times
            for place in _places(zone, datetime.combine(day, moment))
        )
    )


def _is_midnight(found: re.Match[str]) -> bool:
    """Say whether a match may be the end of its day as well as its beginning."""
    return bool(found["word"]) and found["word"].lower() == "midnight"


def _times(found: re.Match[str]) -> list[time]:
    """Return the times of day that a match can be; a bare number is none."""
    if word := found["word"]:
        return [time(0 if word.lower() == "midnight" else 12)]
    minute, half = found["min"] or found["hm"], found["half"]
    if minute is None and half is None and not re.search(r"\d(?:h| ?o'clock)", found.string[found.start() :]):
        return []
    hour = int(found["h"])
    if half:
        if not 1 <= hour <= 12:  # noqa: PLR2004
            return []
        hours = [hour % 12 + (12 if half.lower() == "p" else 0)]
    elif minute is None and not found[0].lower().rstrip().endswith("h"):
        hours = [hour, hour + 12] if 1 <= hour < 12 else [hour]  # noqa: PLR2004  (o'clock)
    else:
        hours = [hour, hour + 12] if len(found["h"]) == 1 and hour else [hour]
    try:
        fraction = int((found["f"] or "0").ljust(6, "0"))
        return [time(hour, int(minute or 0), int(found["s"] or 0), fraction) for hour in hours]
    except ValueError:
        return []


def _places(zone: str, local: datetime | None) -> list[tzinfo | None]:
    """Return the zones that a word can be, at a local time if it is known; nothing if it is none."""
    if not zone:
        return [None]
    if "/" in zone:
        place = _place(zone)
        return (
            []
            if place is None or local is None
            else [timezone(local.replace(tzinfo=place).utcoffset() or timedelta())]
        )
    word = zone.upper()
    if found := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?", word):
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        if minutes >= 24 * 60:
            return []
        return [timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))]
    offsets = [timedelta(hours=hours) for hours in _OFFSETS.get(word, ())]
    if word in _SUMMER and local is not None and (place := _place(_SUMMER[word])) is not None:
        actual = local.replace(tzinfo=place).utcoffset()
        offsets += [actual] if actual is not None and actual not in offsets else []
    return [UTC if offset == timedelta() else timezone(offset) for offset in offsets]


def _place(name: str) -> tzinfo | None:
    """Return a zone by its IANA name; None where this machine does not know it."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def read_duration(text: str) -> tuple[timedelta, ...]:
    """Return the durations that a whole text can be, nothing if it is none; months and years have no fixed length."""
    if len(text) > _LONGEST:
        return ()
    text = " ".join(text.split())
    try:
        return (parse_duration(text),)
    except ValueError:
        pass
    if text[:1] == "P" and text.isascii():
        return _iso_duration(text)
    if re.search(r"\d ?M\b", text):  # months as well as minutes
        return ()
    if found := re.fullmatch(
        r"(\d{1,3}) ?h ?([0-5]\d)(?: ?m(?:in)?)?|(\d{1,3}):([0-5]\d) ?h(?:ours|rs)?", text, re.IGNORECASE
    ):
        return (timedelta(hours=int(found[1] or found[3]), minutes=int(found[2] or found[4])),)
    if found := re.fullmatch(r"(\d{1,3}):(\d\d)(?::(\d\d))?", text):
        one, two = int(found[1]), int(found[2])
        if found[3]:
            return (timedelta(hours=one, minutes=two, seconds=int(found[3])),)
        return timedelta(hours=one, minutes=two), timedelta(minutes=one, seconds=two)
    return _spoken(text.lower())


def _iso_duration(text: str) -> tuple[timedelta, ...]:
    found = re.fullmatch(
        r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?",
        text,
    )
    if found is None or not any(found.groups()):
        return ()
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return (timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds),)


def _spoken(text: str) -> tuple[timedelta, ...]:
    """Read `an hour and 30 minutes`, `90 min`, `one and a half hours`."""
    half = re.fullmatch(r"(?:an?|one) (\w+) and (a half|a quarter)", text)
    if half and half[1] in _UNITS:
        text = f"one and {half[2]} {half[1]}s"
    words = re.sub(r"(\d)([a-z])", r"\1 \2", text.replace(", ", " ")).split()
    totals, number = [0.0], list[str]()
    for word in (each.removesuffix(".") for each in words):
        unit = _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))
        if not unit or not number:
            number += [word] if number or word != "and" else []
            continue
        values = read_number(" ".join(number))
        if len(totals) * len(values) > _READINGS:
            return ()
        totals = [total + float(value) * unit for total in totals for value in values]
        number = []
    return _lengths(totals) if words and not number else ()


def _lengths(seconds: Iterable[float]) -> tuple[timedelta, ...]:
    try:
        return tuple(dict.fromkeys(timedelta(seconds=value) for value in seconds))
    except OverflowError:
        return ()
