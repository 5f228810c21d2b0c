"""What `seconds` must do; run with `python -m unittest`."""

import unittest

from durations import seconds


class Seconds(unittest.TestCase):
    def test_one_unit(self):
        self.assertEqual([seconds("90s"), seconds("2m"), seconds("1h")], [90, 120, 3600])

    def test_days(self):
        self.assertEqual(seconds("2d"), 172_800)

    def test_several_units(self):
        self.assertEqual([seconds("1h30m"), seconds("1d12h"), seconds("1h0m5s")], [5400, 129_600, 3605])

    def test_anything_else_is_refused(self):
        for text in ("", "h", "90", "1y", "1h 30m", "-5s", "1.5h", "5s1h"):
            with self.subTest(text), self.assertRaises(ValueError):
                seconds(text)


if __name__ == "__main__":
    unittest.main()
