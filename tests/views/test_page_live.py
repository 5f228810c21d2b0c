"""The page in a real browser: `apt install chromium chromium-driver; pip install selenium; pytest -m live tests/views`.

With AGENTCOMM_PICTURES=FOLDER it also leaves screenshots there, to be looked at.
"""

import itertools
import os
import time
from pathlib import Path

import pytest

from agentcomm.cli.watching import LivePage
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


def grow(path, lines, share):
    beside = path.with_suffix(".new")
    beside.write_bytes(b"".join(lines[: round(len(lines) * share)]))
    beside.replace(path)


def until(browser, script, *arguments, seconds=10):
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(script, *arguments)):
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.05)
    return found


def test_the_page_of_a_talk_that_goes_on_follows_it(tmp_path):
    long_talk(tmp_path / "whole.jsonl", 60)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "live.jsonl"
    rows = "return document.querySelectorAll('#rows .row').length && Number(document.getElementById('slider').max) + 1"
    with LivePage(path) as served, chromium() as browser:
        browser.get(served.url)
        assert "about to begin" in browser.page_source
        grow(path, lines, 1 / 4)
        first = until(browser, rows)
        assert browser.find_element("id", "live").text.endswith("live")
        assert now(browser).startswith(f"{first} of {first}")
        grow(path, lines, 1 / 2)
        second = until(browser, f"const n = (() => {{ {rows} }})(); return n > arguments[0] && n", first)
        assert now(browser).startswith(f"{second} of {second}")
        picture(browser, "live")
        for _ in range(12):  # whoever looks at something further up is left there
            press(browser, "k")
        press(browser, "1")
        browser.execute_script("document.getElementById('talk').scrollTop = 0")
        settled(browser)
        grow(path, lines, 1)
        until(browser, "return document.getElementById('live').textContent === 'over'")
        last = browser.execute_script(rows)
        assert last > second
        assert now(browser).startswith(f"{second - 12} of {last}")
        assert browser.execute_script("return document.getElementById('talk').scrollTop") == 0
        assert served.wait(0)
        press(browser, "j")
        assert now(browser).startswith(f"{second - 11} of {last}")  # one step: nothing listens twice
        assert len(browser.find_elements("css selector", "#filters button")) == 5
        assert browser.get_log("browser") == []


def test_a_live_page_whose_program_is_gone_says_so_and_stays(tmp_path):
    long_talk(tmp_path / "whole.jsonl", 20)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "live.jsonl"
    grow(path, lines, 1 / 2)
    with chromium() as browser:
        with LivePage(path) as served:
            browser.get(served.url)
            until(browser, "return document.querySelectorAll('#rows .row').length")
        until(browser, "return document.getElementById('live').textContent.startsWith('no longer live')")
        assert browser.find_elements("css selector", "#rows .row")


def test_whatever_agents_say_stays_text_while_it_is_said(tmp_path):
    evil_talk(tmp_path / "evil.jsonl")
    lines = (tmp_path / "evil.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "live.jsonl"
    with LivePage(path) as served, chromium() as browser:
        browser.get(served.url)
        for share in range(1, 7):
            grow(path, lines, share / 6)
            time.sleep(0.4)
        until(browser, "return document.getElementById('live')?.textContent === 'over'")
        for _ in range(len(EVIL) * 2):
            press(browser, "k")
        settled(browser)
        assert browser.title != "owned"
        counts = browser.execute_script(
            "return ['script', 'img', 'iframe', 'style', 'textarea'].map(t => document.querySelectorAll(t).length)"
        )
        assert counts == [2, 0, 0, 2, 0]
        assert browser.get_log("browser") == []


def test_a_prompt_is_shown_piece_by_piece_with_what_changed(tmp_path):
    long_talk(tmp_path / "talk.jsonl", 8)
    with chromium() as browser:
        opened(browser, page(tmp_path / "talk.jsonl"))
        record = read_transcript(tmp_path / "talk.jsonl")
        requests = [one for one in record.records if one.type == "model.request"]
        from selenium.webdriver import Keys

        press(browser, Keys.HOME)
        seen = []
        for _ in range(20):
            side = browser.find_element("id", "side")
            calls = side.find_elements("css selector", ".call")
            if calls:
                parts = browser.execute_script(
                    "return [...document.querySelectorAll('#side .call details')].map(d =>"
                    " [d.querySelector('summary').textContent, d.open, d.querySelector('pre').textContent,"
                    " d.querySelectorAll('ins').length])"
                )
                if not seen or parts != seen[-1]:
                    seen.append(parts)
            press(browser, "j")
        picture(browser, "prompt")
        assert len(seen) == len(requests)
        for parts, request in zip(seen, requests, strict=True):
            labels = [segment["label"] for segment in request.data["segments"]]
            assert [summary.split(" ")[0] for summary, *_ in parts[: len(labels)]] == [
                x.split(" ")[0] for x in labels
            ]
            sent = "".join(m["content"] for m in record.body(request)["messages"])
            for _, _, text, inserted in parts[: len(labels)]:
                assert inserted or text.strip() in sent
        assert not any("as before" in summary for summary, *_ in seen[0])
        later = seen[1]
        assert any("as before" in summary and not is_open for summary, is_open, *_ in later)
        changed = [part for part in later if "changed" in part[0]]
        assert changed
        assert all(is_open for _, is_open, *_ in changed)
        assert any(inserted for *_, inserted in changed)
        assert browser.get_log("browser") == []


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


def test_on_a_narrow_screen_the_step_and_its_state_are_in_view(tmp_path):
    from agentcomm import enact_sync
    from tests.tracing.traced_scenes import cast, sale

    path = tmp_path / "sale.jsonl"
    enact_sync(sale(tmp_path), cast=cast(slip=True, misfires=2), transcript=path)
    with chromium() as browser:
        size = {"width": 420, "height": 860, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        opened(browser, page(path))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 420
        for _ in range(16):
            settled(browser)
            for part, inner in (("place", "#place [data-state].lit"), ("talk", ".row.now")):
                top, bottom, low, high = browser.execute_script(
                    "const a = document.getElementById(arguments[0]).getBoundingClientRect(),"
                    " b = document.querySelector(arguments[1]).getBoundingClientRect();"
                    " return [a.top, a.bottom, b.top, b.bottom]",
                    part,
                    inner,
                )
                assert top - 1 <= low < high <= bottom + 1, (part, top, bottom, low, high)
                assert 0 <= top < bottom <= 860
            press(browser, "k")
        picture(browser, "narrow")
        assert browser.get_log("browser") == []
