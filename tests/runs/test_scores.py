"""Scores on disk: exact, in test order, and readable from earlier versions."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.errors import UsageError
from ir_lightning.runs.scores import (
    COLUMNS,
    mean_scores,
    read_scores,
    scores_by_dataset,
    write_scores,
)

NAMES = ("10", "9", "NA", "a, b")
"""In test order, which is no order of the alphabet; none of them is a number or missing."""


def row(
    image: str,
    value: float,
    dataset: str = "rain",
    metric: str = "psnr",
    protocol: str = "rgb8",
    kind: str = "restored",
) -> dict[str, Any]:
    return dict(zip(COLUMNS, (image, "7", dataset, metric, protocol, kind, value), strict=True))


def write_wide(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    values = [0.1 + 0.2, math.inf, math.nan, 1e-300 / 3]
    rows = [row(name, value) for name, value in zip(NAMES, values, strict=True)]
    write_scores(tmp_path, rows)
    header = (tmp_path / "test_images.csv").read_text().splitlines()[0]
    assert header == "image,scene,dataset,metric,protocol,kind,value"
    scores = read_scores(tmp_path)
    assert list(scores.columns) == COLUMNS
    assert tuple(scores["image"]) == NAMES
    assert set(scores["scene"]) == {"7"}
    assert repr(scores["value"].tolist()) == repr(values)  # NaN is not equal to itself


def test_the_wide_table_of_earlier_versions_is_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"dataset": "rain"}))
    write_wide(
        tmp_path / "test_images.csv",
        [
            {
                "name": name,
                "protocol": "rgb8",
                "degraded_psnr": "inf",
                "restored_psnr": 0.1 + 0.2,
                "y-matlab:restored_ssim": 0.25 + place,
                "untouched_psnr": "" if place else 31.5,
            }
            for place, name in enumerate(("b", "haze/a"))
        ],
    )
    scores = read_scores(tmp_path)
    assert list(scores.columns) == COLUMNS
    assert list(scores["image"]) == ["b"] * 4 + ["haze/a"] * 4
    assert list(scores["scene"]) == list(scores["image"])
    assert list(scores["dataset"]) == ["rain"] * 4 + ["haze"] * 4
    first = scores[scores["image"] == "b"]
    assert list(first[["metric", "protocol", "kind", "value"]].itertuples(index=False)) == [
        ("psnr", "rgb8", "degraded", math.inf),
        ("psnr", "rgb8", "restored", 0.1 + 0.2),
        ("ssim", "y-matlab", "restored", 0.25),
        ("undegraded_psnr", "rgb8", "restored", 31.5),
    ]
    assert math.isnan(scores["value"].iloc[-1])


def test_an_earlier_table_whose_first_protocol_is_luma(tmp_path: Path) -> None:
    scores = {"restored_psnr": 30.0, "rgb8:restored_psnr": 28.0, "untouched_psnr": 40.0}
    write_wide(tmp_path / "test_images.csv", [{"name": "a", "protocol": "y-matlab", **scores}])
    assert mean_scores(read_scores(tmp_path)) == {
        "y-matlab": {"restored": {"psnr": 30.0}},
        "rgb8": {"restored": {"psnr": 28.0, "undegraded_psnr": 40.0}},
    }


@pytest.mark.parametrize(
    "text", [None, "", "name,other\na,1\n", "image,value\na,1\n", "x,value\n1\n2,3,4\n"]
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "test_images.csv").write_text(text)
    with pytest.raises(UsageError, match=r"test_images\.csv: cannot be read"):
        read_scores(tmp_path)


def test_means_are_over_the_images_that_have_the_score(tmp_path: Path) -> None:
    rows = [row("a", 20.0), row("a", 0.4, metric="vif"), row("a", 21.0, protocol="y-matlab")]
    rows += [row("b", 30.0), row("b", math.nan, metric="vif"), row("b", 10.0, kind="degraded")]
    write_scores(tmp_path, rows)
    assert mean_scores(read_scores(tmp_path)) == {
        "rgb8": {"restored": {"psnr": 25.0, "vif": 0.4}, "degraded": {"psnr": 10.0}},
        "y-matlab": {"restored": {"psnr": 21.0}},
    }


def test_a_mixed_test_set_has_means_by_data_set(tmp_path: Path) -> None:
    rows = [row("haze/1", 20.0, "haze"), row("rain/1", 30.0), row("rain/2", 40.0)]
    write_scores(tmp_path, rows)
    scores = read_scores(tmp_path)
    assert scores_by_dataset(scores) == {
        "haze": {"images": 1, "rgb8": {"restored": {"psnr": 20.0}}},
        "rain": {"images": 2, "rgb8": {"restored": {"psnr": 35.0}}},
    }
    write_scores(tmp_path, [row("1", 20.0)])
    assert scores_by_dataset(read_scores(tmp_path)) == {}
