"""What the record says: means per protocol and data set, splits, numbers that any reader takes."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.files import atomic_write, write_json
from ir_lightning.runs.record import (
    gained,
    metric_label,
    read_result,
    score_cells,
    write_result,
    write_splits,
)

RECORD = {"degraded": {"psnr": 20.0, "ssim": 0.5}, "restored": {"psnr": 21.5, "ssim": 0.75}}


def test_a_run_of_an_earlier_version_is_a_line_of_psnr_ssim_and_gain() -> None:
    cells = {"PSNR (dB)": "21.500", "SSIM": "0.7500", "gain (dB)": "+1.500"}
    assert score_cells(RECORD) == cells


def test_any_metric_has_its_place_in_the_line() -> None:
    record: dict[str, Any] = {
        "metrics": {
            "lpips": {"unit": "", "higher_is_better": False},
            "undegraded_psnr": {"unit": "dB", "higher_is_better": True},
            "psnr": {"unit": "dB", "higher_is_better": True},
            "ms_ssim": {"unit": "", "higher_is_better": True},
        },
        "degraded": {"lpips": 0.5, "psnr": 20.0, "ms_ssim": "nan"},
        "restored": {"lpips": 0.25, "undegraded_psnr": 50.0, "psnr": 21.5, "ms_ssim": "nan"},
    }
    assert score_cells(record) == {
        "LPIPS": "0.2500",
        "PSNR (dB)": "21.500",
        "MS SSIM": "",
        "gain": "-0.2500",
    }
    assert gained(record, "psnr") == 1.5
    assert metric_label("undegraded_psnr", "dB") == "undegraded PSNR (dB)"


def test_nothing_is_gained_over_a_perfect_image_and_said_of_a_run_without_scores() -> None:
    assert gained({**RECORD, "degraded": {"psnr": "inf"}}) is None
    assert score_cells({"status": "running"}) == score_cells({**RECORD, "degraded": 1}) == {}


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
