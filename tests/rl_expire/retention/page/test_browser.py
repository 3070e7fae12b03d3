"""The page in a real browser: all parts follow the step, keys and clicks work, phones fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rl_expire.retention.page.write import write_page
from rl_expire.retention.trace import Trace, kept_counts
from tests.rl_expire.retention.page.chromium import refuse_to_run, start, sync_api
from tests.traces import random_trace, weighed_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]
WORDS = ["you reach the mill .", "</script><script>window.hacked = 1</script>", "a" * 300]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start headless Chromium: Playwright's own, or the system's."""
    with sync_api.sync_playwright() as playwright:
        started = start(playwright)
        if started is None:
            refuse_to_run("Chromium is not installed: `playwright install --with-deps chromium`")
        yield started
        started.close()


@pytest.fixture(name="open_page")
def open_page_fixture(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of some traces; fail on any request, console message or error."""
    messages: list[str] = []
    contexts = []

    def open_page(
        *traces: Trace,
        width: int = 1280,
        height: int = 800,
        touch: bool = False,
        **limits: int,
    ) -> Page:
        write_page(traces, tmp_path / "page.html", **limits)
        contexts.append(
            browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)  # milliseconds, for a busy machine
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        return page

    requests: list[str] = []
    yield open_page
    for context in contexts:
        context.close()
    assert messages == []
    pages = [url for url in requests if not url.startswith("data:")]
    assert pages == [(tmp_path / "page.html").as_uri()] * len(contexts)


def text(page: Page, element: str) -> str:
    """Return the text of the element with an id."""
    return page.locator(f"#{element}").inner_text()


def source(page: Page, element: str) -> str | None:
    """Return the source of the picture with an id."""
    return page.locator(f"#{element}").get_attribute("src")


def scrub(page: Page, t: int) -> None:
    """Move the slider to step `t`."""
    page.locator("#scrub").fill(str(t))


def picture_of(page: Page, t: int) -> str:
    """Return the picture of step `t` from the data of the page."""
    script = "t => { const d = JSON.parse(document.getElementById('data').textContent);"
    script += "return d.pictures[(d.episodes[0].observations[t] ?? d.episodes[0].end).picture] }"
    return page.evaluate(script, t)


def pixels(page: Page, element: str) -> str:
    """Return the content of a canvas."""
    return page.locator(element).evaluate("canvas => canvas.toDataURL()")


def test_continuous_integration_cannot_skip_these_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: Any = pytest.fail.Exception
    skipped: Any = pytest.skip.Exception
    for value, outcome in (("true", failed), ("1", failed), ("", skipped), ("false", skipped)):
        monkeypatch.setenv("CI", value)
        with pytest.raises(outcome, match="no browser"):
            refuse_to_run("no browser")


def test_the_slider_moves_all_parts_of_the_page(open_page: Open) -> None:
    trace = random_trace(50)
    page, before = open_page(trace), ""
    for t in (0, 17, 49, 3, 50):
        scrub(page, t)
        now = min(t, 49)
        assert text(page, "step") == f"step {now + 1}"
        assert source(page, "picture") == picture_of(page, t)
        assert text(page, "kept") == str(kept_counts(trace)[now, 0])
        assert text(page, "written") == str(now + 1)
        shown = page.locator("#kept-list .memory").evaluate_all(
            "all => all.map(e => e.dataset.step)"
        )
        assert sorted(map(int, shown)) == trace.steps[now].layers[0].written.tolist()
        assert before != (before := pixels(page, "#panels canvas"))
        assert text(page, "reward") == str(t // 2)


def test_the_page_marks_relevant_observations_decisions_and_the_outcome(open_page: Open) -> None:
    page = open_page(random_trace(6))
    assert text(page, "kind") == "● needed later"
    assert page.locator(".action.taken").inner_text().startswith("left")
    scrub(page, 5)
    assert text(page, "kind") == "decision from memory"
    assert page.locator("#word").is_hidden()
    scrub(page, 6)
    assert text(page, "word") == "Success"
    assert text(page, "score") == "reward 3 in 6 steps"


def test_a_click_on_a_memory_shows_its_observation_lifetime_and_attention(open_page: Open) -> None:
    trace = random_trace(40)
    page = open_page(trace)
    scrub(page, 30)
    memories = trace.steps[30].layers[0]
    for k in (0, len(memories) // 2, len(memories) - 1):
        step = int(memories.written[k])
        page.locator(f".memory[data-step='{step}']").click()
        page.mouse.move(1, 1)
        assert text(page, "card-step") == f"observed at step {step + 1}"
        assert source(page, "card-picture") == picture_of(page, step)
        most = max(float(s.layers[0].attention[:, s.layers[0].written == step].max(initial=0))
                   for s in trace.steps)  # fmt: skip
        assert text(page, "peaks").split("\n")[0].endswith(f"{round(100 * most)}%")
        remaining = float(memories.remaining[k])
        facts = text(page, "card-layers").replace("\n", " ")
        if remaining >= 10:
            assert f"remaining {round(remaining)} steps" in facts
        else:
            assert (f"{remaining:.1f} steps" if remaining >= 0 else "fading out") in facts


def test_hovering_over_a_chart_previews_and_clicking_selects(open_page: Open) -> None:
    page = open_page(random_trace(40))
    scrub(page, 30)
    bars, heat = page.locator("#panels canvas"), page.locator("#heat")
    box = bars.bounding_box()
    assert box is not None
    bars.hover(position={"x": box["width"] - 30, "y": 100})
    assert text(page, "card-step") == "observed at step 31"
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "observed at step 1"
    bars.click(position={"x": box["width"] - 30, "y": 100})
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "observed at step 31"
    heat.click(position={"x": box["width"] - 14, "y": 14})
    assert text(page, "card-step") == "observed at step 1"
    assert text(page, "step") == "step 40"
    assert "At step 40, the observation of step 1: remaining 41 steps" in text(page, "heat-cell")
    page.locator("#peaks button").last.click()
    assert text(page, "step") != "step 40"


def test_a_memory_that_is_forgotten_while_hovered_is_deselected(open_page: Open) -> None:
    trace = random_trace(60)
    page = open_page(trace)
    scrub(page, 20)
    layer = trace.steps[20].layers[0]
    step = int(layer.written[layer.remaining.argmin()])
    page.locator(f".memory[data-step='{step}']").hover()
    assert text(page, "card-step") == f"observed at step {step + 1}"
    scrub(page, 40)
    assert page.locator(f".memory[data-step='{step}']").count() == 0
    assert "forgotten" in text(page, "card-layers")
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "observed at step 1"


def test_arrow_keys_step_and_the_space_bar_plays_and_pauses(open_page: Open) -> None:
    page = open_page(random_trace(30))
    for key, step in [
        ("ArrowRight", 2),
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("Shift+ArrowRight", 12),
        ("Shift+ArrowLeft", 2),
        ("Shift+ArrowLeft", 1),
        ("ArrowLeft", 1),
    ]:
        page.keyboard.press(key)
        assert text(page, "step") == f"step {step}"
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowRight")
    assert text(page, "step") == "step 2"
    page.locator(".memory").first.click()
    page.keyboard.press("Space")
    sync_api.expect(page.locator("#step")).not_to_have_text("step 2")
    page.keyboard.press("Space")
    stopped = text(page, "step")
    page.wait_for_timeout(250)
    assert text(page, "step") == stopped


def test_the_play_button_plays_to_the_end_and_then_from_the_start(open_page: Open) -> None:
    page = open_page(random_trace(8))
    page.locator("#speed").select_option("fast")
    button = page.locator("#play")
    button.click()
    page.locator("#word").wait_for()
    assert button.get_attribute("aria-label") == "Play"
    page.locator("#speed").select_option("slow")
    button.click()
    sync_api.expect(page.locator("#step")).to_have_text("step 2")
    assert button.get_attribute("aria-label") == "Pause"


def test_layers_and_heads_can_be_filtered(open_page: Open) -> None:
    trace = random_trace(30, layers=2, heads=3)
    page = open_page(trace)
    scrub(page, 20)
    kept = kept_counts(trace)[20]
    assert page.locator("#panels canvas").count() == 2
    assert text(page, "counter") == f"{kept.sum()} of 42 kept in 2 layers"
    page.locator("#layer").select_option("2")
    assert page.locator("#panels canvas").count() == 1
    assert text(page, "counter") == f"{kept[1]} of 21 memories kept"
    held = trace.steps[20].layers[1]
    for head in range(3):
        page.locator("#head").select_option(str(head + 1))
        share = float(held.attention[head, list(held.written).index(0)])
        now = page.locator("#card-layers .attention").inner_text().split("\n")[-1]
        assert abs(float(now.strip("<%")) - 100 * share) <= 1.2
    held = pixels(page, "#heat")
    page.locator("#heat-mode").select_option("attention")
    assert pixels(page, "#heat") != held


def test_each_episode_can_be_selected(open_page: Open) -> None:
    page = open_page(random_trace(9), random_trace(12, layers=3, seed=4), random_trace(5, layers=0))
    choice = page.locator("#episode")
    assert choice.locator("option").all_inner_texts()[1] == "seed 4 · success · 12 steps"
    choice.select_option(index=1)
    assert text(page, "of") == "of 12"
    assert page.locator("#panels canvas").count() == 3
    choice.select_option(index=2)
    assert text(page, "of") == "of 5"
    assert page.locator("#no-memories").is_visible()
    for part in ("counter", "panels", "card", "kept-section", "history"):
        assert page.locator(f"#{part}").is_hidden()
    page.keyboard.press("ArrowRight")
    assert text(page, "step") == "step 2"


def test_importance_takes_the_place_of_memories_for_an_agent_without_them(open_page: Open) -> None:
    page = open_page(weighed_trace(20), random_trace(9))
    scrub(page, 19)
    for part in ("no-memories", "panels", "card", "kept-section", "history"):
        assert page.locator(f"#{part}").is_visible()
    for part in ("counter", "filters", "heat-mode"):
        assert page.locator(f"#{part}").is_hidden()
    body = page.locator("body").inner_text()
    for shown in ("importance now", "Most important at", "Important now", "Importance over time"):
        assert shown in body
    for hidden in ("kept", "Most attention at", "forgotten", "lifetime"):
        assert hidden not in body
    first = page.locator(".memory").first
    assert first.get_attribute("data-step") == "0"
    assert "100%" in first.inner_text()
    second = page.locator(".memory").nth(1)
    step = int(second.get_attribute("data-step") or 0)
    second.click()
    assert text(page, "card-step") == f"observed at step {step + 1}"
    assert source(page, "card-picture") == second.locator("img").get_attribute("src")
    page.locator("#episode").select_option(index=1)
    assert page.locator("#counter").is_visible()
    assert page.locator("#no-memories").is_hidden()
    assert page.locator("#heat-mode").is_visible()


def test_texts_are_shown_literally(open_page: Open) -> None:
    page = open_page(random_trace(12, texts=WORDS))
    for t in (0, 1, 2):
        scrub(page, t)
        assert text(page, "text") == WORDS[t]
        assert page.locator("#picture").is_hidden()
    listed = page.locator(".memory .text").all_inner_texts()
    assert set(listed) <= set(WORDS)
    assert WORDS[0] in listed
    scrub(page, 12)
    assert text(page, "text") == "The episode is over."
    assert page.evaluate("window.hacked") is None


def test_the_page_of_a_long_episode_starts_later_and_says_so(open_page: Open) -> None:
    page = open_page(random_trace(140), max_steps=40)
    assert text(page, "notes").startswith("Steps 1 to 100 are left out")
    assert text(page, "step") == "step 101"
    assert text(page, "written") == "101"
    assert text(page, "card-step") == "observed at step 1"
    page.keyboard.press("ArrowLeft")
    assert text(page, "step") == "step 101"


@pytest.mark.parametrize(
    "trace",
    [
        random_trace(200),
        random_trace(60, layers=3, heads=8, env_id="A" * 200),
        random_trace(30, texts=WORDS),
        random_trace(5, layers=0),
        weighed_trace(300, every=2),
        random_trace(1010, longest=3000.0),
    ],
    ids=["usual", "layers and heads", "texts", "no memories", "importance", "long"],
)
def test_the_page_fits_the_width_of_a_phone(trace: Trace, open_page: Open) -> None:
    page = open_page(trace, width=390, height=844, touch=True)
    for t in (len(trace.steps) // 2, len(trace.steps)):
        scrub(page, t)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if trace.steps[0].layers:
        page.locator(".memory").last.tap()
        step = page.locator(".memory").last.get_attribute("data-step")
        assert text(page, "card-step") == f"observed at step {int(step or 0) + 1:,}"
