"""The page in a real browser: `apt install chromium chromium-driver; pip install selenium; pytest -m live tests/views`.

With AGENTCOMM_PICTURES=FOLDER it also leaves screenshots there, to be looked at.
"""

import itertools
import os
from pathlib import Path

import pytest

from agentcomm.runtime.replay import read_transcript
from agentcomm.views.page import page_of
from tests.views.browser import chromium, opened
from tests.views.page_scenes import EVIL, evil_talk, long_talk, tender

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def page(path):
    target = path.with_suffix(".html")
    target.write_text(page_of(read_transcript(path)), encoding="utf-8")
    return target


def picture(browser, name):
    if folder := os.environ.get("AGENTCOMM_PICTURES"):
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def press(browser, keys):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(keys).perform()


def now(browser):
    return browser.execute_script("return document.querySelector('#now').textContent")


def settled(browser):
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def test_five_thousand_turns_open_fast_and_stay_small(tmp_path):
    long_talk(tmp_path / "long.jsonl", 5000)
    made = page(tmp_path / "long.jsonl")
    assert made.stat().st_size < 10_000_000
    for dark in (False, True):
        with chromium(dark=dark) as browser:
            ready = sorted(opened(browser, made) for _ in range(3))[1]
            print(f"ready after {ready:.0f} ms, {made.stat().st_size} bytes")
            assert browser.execute_script("return document.querySelectorAll('.row').length") < 60
            assert now(browser).startswith("5003 of 5003")
            picture(browser, f"long-{'dark' if dark else 'light'}")
            assert browser.get_log("browser") == []


def test_the_keyboard_goes_everywhere(tmp_path):
    from selenium.webdriver import Keys

    long_talk(tmp_path / "talk.jsonl", 400)
    with chromium() as browser:
        opened(browser, page(tmp_path / "talk.jsonl"))
        press(browser, Keys.HOME)
        assert now(browser).startswith("1 of 403")
        press(browser, "jjj")
        assert now(browser).startswith("4 of 403")
        press(browser, "k")
        press(browser, Keys.PAGE_DOWN)
        assert now(browser).startswith("13 of 403")
        settled(browser)
        here = browser.find_element("css selector", ".row.now")
        box, talk = here.rect, browser.find_element("id", "talk").rect
        assert talk["y"] <= box["y"]
        assert box["y"] + box["height"] <= talk["y"] + talk["height"] + 1
        press(browser, "/")
        press(browser, "shelf 77")
        settled(browser)
        rows = browser.find_elements("css selector", ".row")
        assert len(rows) == 1
        assert "shelf 77" in rows[0].text
        press(browser, Keys.ESCAPE)
        press(browser, "4")
        settled(browser)
        assert browser.find_element("id", "none").is_displayed()
        assert browser.get_log("browser") == []


def test_scrolling_keeps_rows_in_order_without_gaps(tmp_path):
    long_talk(tmp_path / "talk.jsonl", 600)
    with chromium() as browser:
        opened(browser, page(tmp_path / "talk.jsonl"))
        for share in (0.0, 0.3, 0.31, 0.8, 1.0, 0.5):
            browser.execute_script(
                "const t = document.getElementById('talk'); t.scrollTop = t.scrollHeight * arguments[0]",
                share,
            )
            settled(browser)
            boxes = browser.execute_script(
                "return [...document.querySelectorAll('.row')].map(n => { const b = n.getBoundingClientRect();"
                " return [Number(n.dataset.number), b.top, b.bottom]; }).sort((a, b) => a[0] - b[0])"
            )
            talk = browser.execute_script(
                "const b = document.getElementById('talk').getBoundingClientRect(); return [b.top, b.bottom]"
            )
            assert [b[0] for b in boxes] == list(range(boxes[0][0], boxes[0][0] + len(boxes)))
            for one, after in itertools.pairwise(boxes):
                assert abs(one[2] - after[1]) < 1
            assert boxes[0][0] == 0 or boxes[0][1] <= talk[0]
            assert boxes[-1][0] == 602 or boxes[-1][2] >= talk[1]


def test_whatever_agents_say_stays_text(tmp_path):
    evil_talk(tmp_path / "evil.jsonl")
    made = page(tmp_path / "evil.jsonl")
    with chromium() as browser:
        opened(browser, made)
        title = browser.title
        for number in range(len(EVIL) * 3 + 4):
            press(browser, "k")
            if number % 5 == 0:
                press(browser, "m")
        settled(browser)
        assert browser.title == title != "owned"
        counts = browser.execute_script(
            "return ['script', 'img', 'iframe', 'style', 'textarea'].map(t => document.querySelectorAll(t).length)"
        )
        assert counts == [2, 0, 0, 2, 0]  # ours: the data, the script; the page's style, the drawing's
        assert "onerror" in browser.find_element("id", "talk").text
        assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert browser.get_log("browser") == []
        picture(browser, "evil")


def test_lanes_are_lit_and_counted(tmp_path):
    tender(tmp_path / "tender.jsonl", 6)
    with chromium(dark=True) as browser:
        opened(browser, page(tmp_path / "tender.jsonl"))
        lit = {
            node.get_attribute("data-state")
            for node in browser.find_elements("css selector", "[data-state].lit")
        }
        assert lit == {"declined", "rejected", "done"}
        assert "\u00d74" in browser.find_element("css selector", '[data-state="rejected"]').text
        picture(browser, "tender-dark")


def test_a_damaged_or_erased_transcript_says_so(tmp_path):
    long_talk(tmp_path / "talk.jsonl", 20)
    path = tmp_path / "talk.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with chromium() as browser:
        opened(browser, page(path))
        assert "damaged" in browser.find_element("id", "about").text
        path.write_bytes(
            b"".join(line for line in whole.splitlines(keepends=True) if not line.startswith(b'{"blob"'))
        )
        opened(browser, page(path))
        assert "erased" in browser.find_element("id", "about").text
