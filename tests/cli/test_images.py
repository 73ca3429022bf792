"""`ir-lightning` does what it says, or says in one sentence why not."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import visual_information_fidelity

from ir_lightning import inference
from ir_lightning.cli import main
from ir_lightning.data.image_files import read_image, read_pixels, write_image
from ir_lightning.metrics.protocols import RGB8, protocol_named
from ir_lightning.metrics.similarity import PSNR, SSIM
from ir_lightning.training.weights import save_network

pytestmark = pytest.mark.slow


def call(*arguments: object) -> int:
    """Exit code of ``ir-lightning ARGUMENTS``."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one sentence with which a bad request ends."""
    assert call(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    return printed.err


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run whose generator adds 1/255."""
    brighter = nn.Conv2d(3, 3, 1)
    weight = torch.eye(3)[..., None, None]
    brighter.load_state_dict({"weight": weight, "bias": torch.full((3,), 1 / 255)})
    config = {
        "_target_": "torch.nn.Conv2d",
        "in_channels": 3,
        "out_channels": 3,
        "kernel_size": 1,
    }
    save_network(tmp_path / "run", "generator", brighter, config)
    return tmp_path / "run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three degraded images in three formats."""
    (tmp_path / "rain").mkdir()
    for index, name in enumerate(("1.png", "2.bmp", "10.webp")):
        write_image(tmp_path / "rain" / name, noise(index, 12, 15, 3) // 2)
    return tmp_path / "rain"


def test_restore_keeps_names_and_loses_nothing(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = tmp_path / "single.jpg"
    write_image(single, noise(9, 20, 20, 3))
    out = tmp_path / "deep" / "out"
    assert call("restore", run_dir, folder, single, "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["1.png", "10.png", "2.png", "single.png"]
    for source in (*folder.iterdir(), single):
        expected = np.minimum(read_image(source).astype(int) + 1, 255)
        assert np.array_equal(read_image(out / f"{source.stem}.png"), expected)
    assert capsys.readouterr().out == f"4 of 4 images restored in {out}\n"


def test_restore_in_tiles_and_from_a_weights_file(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    options = ["--out", tmp_path / "out", "--tile", 8, "--overlap", 4, "--device", "cpu"]
    assert call("restore", run_dir / "generator.safetensors", folder, *options) == 0
    assert np.array_equal(read_image(tmp_path / "out" / "1.png"), read_image(folder / "1.png") + 1)


@pytest.mark.parametrize("options", [[], ["--bf16"]])
def test_restore_in_bf16_is_asked_for(
    options: list[str], run_dir: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Telling(torch.nn.Module):
        def forward(self, degraded: Tensor) -> Tensor:
            return torch.full_like(degraded, float(torch.is_autocast_enabled("cpu")))

    monkeypatch.setattr(inference, "load_generator", lambda *_: Telling())
    out = tmp_path / "out"
    assert call("restore", run_dir, folder, "--out", out, "--device", "cpu", *options) == 0
    assert np.all(read_image(out / "1.png") == 255 * bool(options))


def test_grey_stays_grey_and_alpha_stays(run_dir: Path, tmp_path: Path) -> None:
    grey, translucent = noise(1, 8, 9) // 2, noise(2, 8, 9, 4) // 2
    write_image(tmp_path / "grey.png", grey)
    write_image(tmp_path / "translucent.png", translucent)
    inputs = [tmp_path / "grey.png", tmp_path / "translucent.png"]
    assert call("restore", run_dir, *inputs, "--out", tmp_path / "out") == 0
    assert np.array_equal(read_pixels(tmp_path / "out" / "grey.png"), grey + 1)
    expected = translucent + np.array([1, 1, 1, 0], np.uint8)
    assert np.array_equal(read_pixels(tmp_path / "out" / "translucent.png"), expected)


def test_a_broken_image_does_not_stop_the_others(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "2.bmp").write_bytes(b"")
    assert call("restore", run_dir, folder, "--out", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert f"error: {folder / '2.bmp'}: the file is empty." in printed.err
    assert printed.err.count("error") == 1
    assert printed.out.startswith("2 of 3 images")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "10.png"]


def test_results_are_replaced_only_on_demand(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    write_earlier = noise(5, 3, 3, 3)
    out.mkdir()
    write_image(out / "2.png", write_earlier)
    said = refusal(capsys, "restore", run_dir, folder, "--out", out)
    assert f"{out / '2.png'} exists" in said
    assert "--overwrite" in said
    assert np.array_equal(read_image(out / "2.png"), write_earlier)
    assert call("restore", run_dir, folder, "--out", out, "--overwrite") == 0
    assert np.array_equal(read_image(out / "2.png"), read_image(folder / "2.bmp") + 1)


def test_an_input_is_never_overwritten(
    run_dir: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "1.png").read_bytes()
    for out in (folder, folder / ".." / folder.name):
        said = refusal(capsys, "restore", run_dir, folder, "--out", out, "--overwrite")
        assert "1.png is itself an input" in said
    assert (folder / "1.png").read_bytes() == before


def test_two_inputs_never_share_a_result(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "1.jpg", noise(4, 5, 5, 3))
    said = refusal(
        capsys, "restore", run_dir, folder, tmp_path / "1.jpg", "--out", tmp_path / "out"
    )
    assert f"{folder / '1.png'} and {tmp_path / '1.jpg'} would both become" in said
    assert not (tmp_path / "out").exists()


def test_requests_to_restore_that_cannot_work(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", tmp_path / "out"]
    assert "absent" in refusal(capsys, "restore", tmp_path / "absent", folder, *out)
    assert "absent.png: no such" in refusal(capsys, "restore", run_dir, "absent.png", *out)
    assert "no images" in refusal(capsys, "restore", run_dir, run_dir, *out)
    assert "tile=0" in refusal(capsys, "restore", run_dir, folder, *out, "--tile", 0)
    tiles = ["--tile", 16, "--overlap", 16]
    assert "overlap=16" in refusal(capsys, "restore", run_dir, folder, *out, *tiles)
    assert "--tile" in refusal(capsys, "restore", run_dir, folder, *out, "--overlap", 4)
    (tmp_path / "file").touch()
    assert "file" in refusal(capsys, "restore", run_dir, folder, "--out", tmp_path / "file")
    assert "cannot be written" in refusal(
        capsys, "restore", run_dir, folder, "--out", tmp_path / "file" / "below"
    )


@pytest.fixture
def results(folder: Path, tmp_path: Path) -> Path:
    """Restorations of ``folder``, the first of them perfect."""
    out = tmp_path / "results"
    out.mkdir()
    write_image(out / "1.png", read_image(folder / "1.png"))
    write_image(out / "2.png", noise(7, 12, 15, 3))
    write_image(out / "10.png", noise(8, 12, 15, 3))
    return out


def expected_scores(restored: Path, clean: Path, protocol: str) -> tuple[float, float]:
    images = (
        torch.from_numpy(read_image(p)).permute(2, 0, 1)[None] / 255 for p in (restored, clean)
    )
    planes = [protocol_named(protocol).show(image) for image in images]
    return PSNR()(*planes).item(), SSIM()(*planes).item()


@pytest.mark.parametrize("protocol", ["rgb8", "y-matlab"])
def test_score_of_folders(
    protocol: str, results: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "1.png").unlink()
    (folder / "1.png").unlink()
    table = tmp_path / "scores.csv"
    arguments = [results, folder, "--protocol", protocol, "--csv", table]
    assert call("score", *arguments, "--json") == 0
    pairs = [(results / "2.png", folder / "2.bmp"), (results / "10.png", folder / "10.webp")]
    expected = np.array([expected_scores(*pair, protocol) for pair in pairs])
    psnr, ssim = expected.mean(axis=0)
    assert json.loads(capsys.readouterr().out) == {
        "psnr": pytest.approx(psnr),
        "ssim": pytest.approx(ssim),
        "images": 2,
        "protocol": protocol,
    }
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["2", "10"]
    assert np.allclose([[float(row["psnr"]), float(row["ssim"])] for row in rows], expected)
    assert call("score", *arguments) == 0
    told = capsys.readouterr().out
    assert told == f"{protocol}: PSNR {psnr:.3f} dB, SSIM {ssim:.4f} (mean of 2 images)\n"


def test_score_of_two_files(
    results: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("score", results / "2.png", folder / "2.bmp", "--json") == 0
    psnr, ssim = expected_scores(results / "2.png", folder / "2.bmp", "rgb8")
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "psnr": pytest.approx(psnr),
        "ssim": pytest.approx(ssim),
        "images": 1,
        "protocol": "rgb8",
    }


def test_a_perfect_score_is_still_json(
    results: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "scores.csv"
    assert call("score", results, folder, "--json", "--csv", table) == 0

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    said = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert said["psnr"] == "inf"
    assert said["images"] == 3
    assert table.read_text().splitlines()[1] == "1,inf,1.0"


def test_any_metric_of_the_configuration_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "restored.png", tmp_path / "clean.png"]
    for seed, path in enumerate(paths):
        write_image(path, noise(seed, 48, 50, 3))
    arguments = ["--metric", "vif", "--metric", "psnr", "--csv", tmp_path / "scores.csv"]
    assert call("score", *paths, *arguments, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    images = [
        RGB8.show(torch.from_numpy(read_image(path)).permute(2, 0, 1)[None] / 255).float()
        for path in paths
    ]
    expected = visual_information_fidelity(*images)  # of grey levels
    assert said["vif"] == pytest.approx(expected.item(), rel=1e-3)
    assert list(said) == ["vif", "psnr", "images", "protocol"]
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "name,vif,psnr"
    assert call("score", *paths, *arguments) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"rgb8: VIF \d\.\d{4}, PSNR \d+\.\d{3} dB \(1 image\)\n", said)


def test_requests_to_score_that_cannot_work(
    results: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "rgb8, y-matlab" in refusal(capsys, "score", results, folder, "--protocol", "psnr")
    assert "absent" in refusal(capsys, "score", tmp_path / "absent", folder)
    said = refusal(capsys, "score", results, folder, "--metric", "beauty")
    assert "beauty" in said
    assert "vif" in said
    said = refusal(capsys, "score", results, folder, "--metric", "undegraded_psnr")
    assert "the degraded images as well" in said
    assert "two folders or two files" in refusal(capsys, "score", results / "1.png", folder)
    assert "cannot be written" in refusal(
        capsys, "score", results, folder, "--csv", folder / "1.png" / "scores.csv"
    )
    write_image(results / "2.png", noise(1, 12, 14, 3))
    said = refusal(capsys, "score", results / "2.png", folder / "2.bmp")
    assert "14 x 12" in said
    assert "15 x 12" in said
    assert "2.png is 14 x 12" in refusal(capsys, "score", results, folder)
    (results / "2.png").unlink()
    assert "2.bmp has no" in refusal(capsys, "score", results, folder)
    write_image(results / "2.png", noise(1, 9, 9, 3))
    write_image(folder / "2.bmp", noise(1, 9, 9, 3))
    assert "11 x 11" in refusal(capsys, "score", results, folder)


def test_an_image_that_breaks_off_ends_the_scoring(
    results: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (results / "2.png").read_bytes()
    (results / "2.png").write_bytes(whole[: len(whole) // 2])
    assert call("score", results, folder, "--json") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith(f"error: {results / '2.png'}")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["restore", "--help"], 0),
        (["score", "--help"], 0),
        (["score", "absent", "absent"], 2),
        (["score", ".", ".", "--protocol", "psnr"], 2),
        (["restore", "absent", "absent.png", "--out", "out"], 2),
        (["restore", "absent", ".", "--out", "out", "--device", "abacus"], 2),
        (["mend"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_help_and_mistakes_do_not_wait_for_torch(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    program = (
        "import sys; from ir_lightning.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.splitlines()[-1] == "False"
    assert "Traceback" not in ended.stderr
