def seconds(text):
    """Return the seconds in a duration such as `90s`, `1h30m` or `2d`; raise ValueError for anything else."""
    units = {"s": 1, "m": 60, "h": 3600}
    return int(text[:-1]) * units[text[-1]]
