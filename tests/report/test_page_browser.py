"""The page in a browser without a window: no errors, sliders that cut, nothing too wide.

The page is opened in a frame of a page of the test, since a window has a least width of about 500
pixels, and its policy lets no other script run in it.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.report.write import write_report
from tests.helpers.planting import plant_experiment, plant_gallery
from tests.report.test_report import REPORT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason=f"no browser is here (looked for {', '.join(BROWSERS)})"
    ),
]
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe src="report/report.html" style="border:0;width:{width}px;height:2000px"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const w = frame.contentWindow, d = frame.contentDocument, told = {{}};
  const change = (e, value, kind) => {{ e.value = value; e.dispatchEvent(new w.Event(kind)); }};
  {script}
  document.title = JSON.stringify(told);
}};
</script>"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report whose names are long."""
    root = tmp_path_factory.mktemp("page")
    labels = REPORT["labels"] | {"unet5": "UNet-5 " + "words_without_a_space" * 5}
    folder = plant_experiment(root, report=REPORT | {"labels": labels})
    for number, run_dir in enumerate(sorted((root / "runs").iterdir())):
        if (run_dir / "result.json").exists():
            plant_gallery(run_dir, number, size=(300, 600), name="x" * 200 + "{}")
    write_report(folder)
    return root


def seen(root: Path, script: str, width: int = 1280) -> dict[str, Any]:
    """What a script in JavaScript finds out: it fills ``told`` about the window w, document d."""
    (root / "frame.html").write_text(FRAME.format(width=width, script=script))
    done = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
            *(f"--user-data-dir={root / 'profile'}", f"--window-size={max(width, 500)},2000"),
            *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000", "--dump-dom"),
            (root / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.S)
    assert title, f"the page was not loaded: {done.stdout[:500]}\n{done.stderr[-2000:]}"
    told = json.loads(unescape(title[1]))
    assert isinstance(told, dict)
    return told


def test_moving_the_slider_moves_the_cut(root: Path) -> None:
    told = seen(
        root,
        """
        const figure = d.querySelector(".slider"), range = figure.querySelector("input");
        const left = figure.querySelector(".stage .left");
        const clip = () => w.getComputedStyle(left).clipPath;
        told.before = clip();
        change(range, 25, "input");
        told.after = clip();
        told.said = range.getAttribute("aria-valuetext");
        const box = figure.querySelector(".stage").getBoundingClientRect();
        figure.querySelector(".stage").setPointerCapture = () => {};
        figure.querySelector(".stage").dispatchEvent(new w.PointerEvent(
          "pointerdown", {clientX: box.left + 0.75 * box.width, pointerId: 1}));
        told.dragged = range.value;
        """,
    )
    assert "50%" in told["before"]
    assert "75%" in told["after"]
    assert told["said"].startswith("25 % degraded, 75 % ")
    assert float(told["dragged"]) == pytest.approx(75, abs=1)


def test_any_two_versions_can_be_compared(root: Path) -> None:
    told = seen(
        root,
        """
        const pictures = JSON.parse(d.getElementById("pictures").textContent);
        const [compare, extreme] = d.querySelectorAll(".slider");
        const shown = (figure) => ["left", "right"].map((side) => {
          const image = figure.querySelector(`.stage .${side}`);
          return [pictures.indexOf(image.getAttribute("src")), image.alt.slice(-8),
                  image.complete && image.naturalWidth,
                  figure.querySelector(`.said-${side}`).textContent];
        });
        told.start = shown(compare);
        change(compare.querySelector("[data-side=left]"), 3, "change");
        change(compare.querySelector("[data-side=right]"), 1, "change");
        told.chosen = shown(compare);
        change(extreme.querySelector("[data-pair]"), "1,2", "change");
        told.pair = shown(extreme);
        told.versions = JSON.parse(compare.dataset.versions).map((version) => version[2]);
        """,
    )
    versions = told["versions"]
    assert [side[0] for side in told["start"]] == [versions[0], versions[2]]
    assert [side[0] for side in told["chosen"]] == [versions[3], versions[1]]
    assert [side[3].split("\n")[0] for side in told["chosen"]] == ["pix2pix & co (seed 0)", "clean"]
    assert [side[1] for side in told["pair"]] == ["restored", "1, clean"]
    assert told["start"][0][2] == 512


@pytest.mark.parametrize("width", [400, 1280])
def test_only_tables_and_figures_scroll_sideways(width: int, root: Path) -> None:
    told = seen(
        root,
        """
        for (const details of d.querySelectorAll("details")) details.open = true;
        told.inner = w.innerWidth;
        told.wide = d.documentElement.scrollWidth;
        told.beyond = [...d.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, .skip")
          && e.getBoundingClientRect().right > w.innerWidth + 1).map((e) => e.outerHTML);
        told.table = d.querySelector(".scroll").clientWidth;
        """,
        width,
    )
    assert told["inner"] == width
    assert told["beyond"] == []
    assert told["wide"] <= width
    assert told["table"] < width


def test_everything_has_a_name_and_is_reached_by_the_keyboard(root: Path) -> None:
    told = seen(
        root,
        """
        const named = (e) => e.getAttribute("aria-label") || (e.labels && e.labels.length);
        told.unnamed = [...d.querySelectorAll("input, select")].filter((e) => !named(e)).length;
        told.hidden = [...d.querySelectorAll("a, input, select, summary, .scroll")]
          .filter((e) => { e.focus(); return e.offsetParent && d.activeElement !== e; }).length;
        told.stuck = [...d.querySelectorAll(".scroll")].filter((e) => e.tabIndex !== 0).length;
        told.blind = [...d.querySelectorAll("img")].filter((e) => !e.alt).length;
        """,
    )
    assert told == {"unnamed": 0, "hidden": 0, "stuck": 0, "blind": 0}
