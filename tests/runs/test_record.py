"""What the record says: means per protocol and data set, splits, numbers that any reader takes."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.files import atomic_write, write_json
from ir_lightning.runs.record import (
    mean_scores,
    read_result,
    scores_by_dataset,
    write_result,
    write_splits,
)


def row(name: str, psnr: float) -> dict[str, Any]:
    scores = {"degraded_psnr": 10.0, "degraded_ssim": 0.1, "restored_psnr": psnr}
    scores["restored_ssim"] = psnr / 100
    luma = {f"y-matlab:{key}": value + 1 for key, value in scores.items()}
    return {"name": name, "protocol": "rgb8", **scores, **luma}


def test_means_are_over_images_and_per_protocol() -> None:
    means = mean_scores([row("a", 20.0), row("b", 30.0)], ["rgb8", "y-matlab"])
    assert means["rgb8"]["restored"] == {"psnr": 25.0, "ssim": pytest.approx(0.25)}
    assert means["y-matlab"]["restored"]["psnr"] == 26.0
    assert means["rgb8"]["degraded"]["psnr"] == 10.0


def test_a_mixed_test_set_is_scored_per_data_set() -> None:
    rows = [row("haze/1", 20.0), row("rain/1", 30.0), row("rain/2", 40.0)]
    scores = scores_by_dataset(rows, ["rgb8"])
    assert scores["rain"]["images"] == 2
    assert scores["rain"]["rgb8"]["restored"]["psnr"] == 35.0
    assert scores["haze"]["rgb8"]["restored"]["psnr"] == 20.0
    assert scores_by_dataset([row("plain", 1.0)], ["rgb8"]) == {}


def test_split_hashes_tell_other_images_apart(tmp_path: Path) -> None:
    names = {"train": ["1", "2"], "validation": ["3"], "test": ["4"]}
    first = write_splits(tmp_path, names)
    assert json.loads((tmp_path / "splits.json").read_text()) == names
    assert first["train"]["images"] == 2
    moved = write_splits(tmp_path, {**names, "validation": ["5"]})
    assert moved["validation"]["sha256"] != first["validation"]["sha256"]
    assert moved["test"] == first["test"]


def test_infinite_scores_stay_valid_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"psnr": float("inf"), "rows": [1.5, float("nan")]})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"psnr": "inf", "rows": [1.5, "nan"]}


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    write_result(tmp_path, {"status": "finished"})

    def fail() -> None:
        with atomic_write(tmp_path / "result.json") as file:
            file.write("{")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert read_result(tmp_path) == {"status": "finished"}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_colleagues_can_read_what_a_run_wrote(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_result(tmp_path, {})
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "result.json")]
    assert modes[0] == modes[1]
    assert not modes[1] & stat.S_IWOTH


def test_an_unreadable_record_is_no_record(tmp_path: Path) -> None:
    assert read_result(tmp_path) == {}
    (tmp_path / "result.json").write_text('{"status": "fini')
    assert read_result(tmp_path) == {}
