"""The page in a real browser: it moves as a whole, answers keys and clicks, and fits a phone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rl_expire.retention.page.write import write_page
from rl_expire.retention.trace import Trace, kept_counts
from tests.traces import random_trace, weighed_trace

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

Open = Callable[..., "Page"]
WORDS = ["you reach the mill .", "</script><script>window.hacked = 1</script>", "a" * 300]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium: Playwright's own, or the system's."""
    with sync_api.sync_playwright() as playwright:
        started = start(playwright)
        if started is None:
            pytest.skip("no Chromium here: `playwright install chromium` gets one")
        yield started
        started.close()


def start(playwright: Playwright) -> Browser | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for path in (None, *filter(None, found)):
        try:
            return playwright.chromium.launch(executable_path=path)
        except sync_api.Error:
            continue
    return None


@pytest.fixture(name="open_page")
def open_page_fixture(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of some traces; afterwards nothing may have been asked for or gone wrong."""
    wrong: list[str] = []
    contexts = []

    def open_page(
        *traces: Trace, width: int = 1280, height: int = 800, touch: bool = False
    ) -> Page:
        write_page(traces, tmp_path / "page.html")
        contexts.append(
            browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)  # slow only where the machine is busy
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        return page

    requests: list[str] = []
    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    pages = [url for url in requests if not url.startswith("data:")]
    assert pages == [(tmp_path / "page.html").as_uri()] * len(contexts)


def text(page: Page, element: str) -> str:
    return page.locator(f"#{element}").inner_text()


def source(page: Page, element: str) -> str | None:
    return page.locator(f"#{element}").get_attribute("src")


def scrub(page: Page, t: int) -> None:
    page.locator("#scrub").fill(str(t))


def picture_of(page: Page, t: int) -> str:
    """The picture of step t, straight from the data."""
    script = "t => { const d = JSON.parse(document.getElementById('data').textContent);"
    script += "return d.pictures[(d.episodes[0].sights[t] ?? d.episodes[0].end).picture] }"
    return page.evaluate(script, t)


def pixels(page: Page, element: str) -> str:
    return page.locator(element).evaluate("canvas => canvas.toDataURL()")


def test_the_slider_moves_the_world_and_the_memory_together(open_page: Open) -> None:
    trace = random_trace(50)
    page, before = open_page(trace), ""
    for t in (0, 17, 49, 3, 50):
        scrub(page, t)
        now = min(t, 49)
        assert text(page, "step") == f"step {now + 1}"
        assert source(page, "picture") == picture_of(page, t)
        assert text(page, "kept") == str(kept_counts(trace)[now, 0])
        assert text(page, "seen") == str(now + 1)
        shown = page.locator("#kept-list .memory").evaluate_all(
            "all => all.map(e => e.dataset.step)"
        )
        assert sorted(map(int, shown)) == trace.steps[now].layers[0].written.tolist()
        assert before != (before := pixels(page, "#bars canvas"))
        assert text(page, "earned") == str(t // 2)


def test_the_end_says_how_it_went(open_page: Open) -> None:
    page = open_page(random_trace(6))
    assert text(page, "mark") == "● sees what it will need"
    assert page.locator(".action.taken").inner_text().startswith("left")
    scrub(page, 5)
    assert text(page, "mark") == "decides now, from memory"
    assert page.locator("#word").is_hidden()
    scrub(page, 6)
    assert text(page, "word") == "Success"
    assert text(page, "score") == "reward 3 in 6 steps"


def test_a_click_on_a_memory_shows_what_it_came_from(open_page: Open) -> None:
    trace = random_trace(40)
    page = open_page(trace)
    scrub(page, 30)
    memories = trace.steps[30].layers[0]
    for k in (0, len(memories) // 2, len(memories) - 1):
        step = int(memories.written[k])
        page.locator(f".memory[data-step='{step}']").click()
        page.mouse.move(1, 1)
        assert text(page, "card-step") == f"seen at step {step + 1}"
        assert source(page, "card-picture") == picture_of(page, step)
        most = max(float(s.layers[0].attention[:, s.layers[0].written == step].max(initial=0))
                   for s in trace.steps)  # fmt: skip
        assert text(page, "peaks").split("\n")[0].endswith(f"{round(100 * most)} %")
        remaining = float(memories.remaining[k])
        said = text(page, "card-layers").replace("\n", " ")
        if remaining >= 10:
            assert f"will last {round(remaining)} steps more" in said
        else:
            assert (f"{remaining:.1f} steps more" if remaining >= 0 else "fading out") in said


def test_charts_answer_to_pointing_and_clicking(open_page: Open) -> None:
    page = open_page(random_trace(40))
    scrub(page, 30)
    bars, heat = page.locator("#bars canvas"), page.locator("#heat")
    box = bars.bounding_box()
    assert box is not None
    bars.hover(position={"x": box["width"] - 30, "y": 100})
    assert text(page, "card-step") == "seen at step 31"
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "seen at step 1"
    bars.click(position={"x": box["width"] - 30, "y": 100})
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "seen at step 31"
    heat.click(position={"x": box["width"] - 14, "y": 14})
    assert text(page, "card-step") == "seen at step 1"
    assert text(page, "step") == "step 40"
    assert "At step 40, what was seen at step 1: 41 steps more" in text(page, "heat-says")
    page.locator("#peaks button").last.click()
    assert text(page, "step") != "step 40"


def test_a_memory_forgotten_under_the_pointer_is_let_go(open_page: Open) -> None:
    trace = random_trace(60)
    page = open_page(trace)
    scrub(page, 20)
    layer = trace.steps[20].layers[0]
    step = int(layer.written[layer.remaining.argmin()])
    page.locator(f".memory[data-step='{step}']").hover()
    assert text(page, "card-step") == f"seen at step {step + 1}"
    scrub(page, 40)
    assert page.locator(f".memory[data-step='{step}']").count() == 0
    assert "forgotten" in text(page, "card-layers")
    page.mouse.move(1, 1)
    assert text(page, "card-step") == "seen at step 1"


def test_keys_step_and_play(open_page: Open) -> None:
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
    page.wait_for_timeout(400)
    assert text(page, "step") == stopped


def test_the_button_plays_to_the_end_and_then_from_the_start(open_page: Open) -> None:
    page = open_page(random_trace(8))
    page.locator("#pace").select_option("fast")
    button = page.locator("#play")
    button.click()
    page.locator("#word").wait_for()
    assert button.get_attribute("aria-label") == "Play"
    page.locator("#pace").select_option("slow")
    button.click()
    sync_api.expect(page.locator("#step")).to_have_text("step 2")
    assert button.get_attribute("aria-label") == "Pause"


def test_layers_and_heads_can_be_looked_at_one_by_one(open_page: Open) -> None:
    trace = random_trace(30, layers=2, heads=3)
    page = open_page(trace)
    scrub(page, 20)
    kept = kept_counts(trace)[20]
    assert page.locator("#bars canvas").count() == 2
    assert text(page, "counter") == f"{kept.sum()} kept of 42 in 2 layers"
    page.locator("#layer").select_option("2")
    assert page.locator("#bars canvas").count() == 1
    assert text(page, "counter") == f"{kept[1]} kept of 21 seen"
    held = trace.steps[20].layers[1]
    for head in range(3):
        page.locator("#head").select_option(str(head + 1))
        share = float(held.attention[head, list(held.written).index(0)])
        now = page.locator(".thought").inner_text().split("\n")[-1]
        assert abs(float(now.split()[0].lstrip("<")) - 100 * share) <= 1.2
    kept_shade = pixels(page, "#heat")
    page.locator("#shade").select_option("what it thinks of")
    assert pixels(page, "#heat") != kept_shade


def test_each_episode_can_be_chosen(open_page: Open) -> None:
    page = open_page(random_trace(9), random_trace(12, layers=3, seed=4), random_trace(5, layers=0))
    choice = page.locator("#episode")
    assert choice.locator("option").all_inner_texts()[1] == "seed 4 · success · 12 steps"
    choice.select_option(index=1)
    assert text(page, "of") == "of 12"
    assert page.locator("#bars canvas").count() == 3
    choice.select_option(index=2)
    assert text(page, "of") == "of 5"
    assert page.locator("#none").is_visible()
    for part in ("counter", "bars", "card", "keeps", "history"):
        assert page.locator(f"#{part}").is_hidden()
    page.keyboard.press("ArrowRight")
    assert text(page, "step") == "step 2"


def test_what_matters_to_an_agent_without_memories_can_be_looked_through(open_page: Open) -> None:
    page = open_page(weighed_trace(20), random_trace(9))
    scrub(page, 19)
    for part in ("none", "bars", "card", "keeps", "history"):
        assert page.locator(f"#{part}").is_visible()
    for part in ("counter", "filters", "shade"):
        assert page.locator(f"#{part}").is_hidden()
    body = page.locator("body").inner_text()
    for said in ("importance now", "Mattered most", "What matters now", "What mattered when"):
        assert said in body
    for said in ("kept of", "Kept now", "Thought of most", "forgotten", "given to last"):
        assert said not in body
    first = page.locator(".memory").first
    assert first.get_attribute("data-step") == "0"
    assert "100 %" in first.inner_text()
    second = page.locator(".memory").ordinal(1)
    step = int(second.get_attribute("data-step") or 0)
    second.click()
    assert text(page, "card-step") == f"seen at step {step + 1}"
    assert source(page, "card-picture") == second.locator("img").get_attribute("src")
    page.locator("#episode").select_option(index=1)
    assert page.locator("#counter").is_visible()
    assert page.locator("#none").is_hidden()
    assert page.locator("#shade").is_visible()


def test_sentences_are_read_as_they_are(open_page: Open) -> None:
    page = open_page(random_trace(12, texts=WORDS))
    for t in (0, 1, 2):
        scrub(page, t)
        assert text(page, "sentence") == WORDS[t]
        assert page.locator("#picture").is_hidden()
    said = page.locator(".memory .said").all_inner_texts()
    assert set(said) <= set(WORDS)
    assert WORDS[0] in said
    scrub(page, 12)
    assert text(page, "sentence") == "The episode is over."
    assert page.evaluate("window.hacked") is None


def test_what_is_left_out_is_said(open_page: Open) -> None:
    page = open_page(random_trace(2100))
    assert text(page, "notes").startswith("Steps 1 to 100 are left out")
    assert text(page, "step") == "step 101"
    assert text(page, "seen") == "101"
    assert text(page, "card-step") == "seen at step 1"
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
        random_trace(2100, longest=3000.0),
    ],
    ids=["usual", "many", "sentences", "none", "weighed", "long"],
)
def test_a_phone_shows_it_without_scrolling_sideways(trace: Trace, open_page: Open) -> None:
    page = open_page(trace, width=390, height=844, touch=True)
    for t in (len(trace.steps) // 2, len(trace.steps)):
        scrub(page, t)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if trace.steps[0].layers:
        page.locator(".memory").last.tap()
        step = page.locator(".memory").last.get_attribute("data-step")
        assert text(page, "card-step") == f"seen at step {int(step or 0) + 1:,}"
