"""Scores of test images on disk: ``test_images.csv`` of a run, a row per image and score."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.runs.record import TEST_IMAGES, read_result

COLUMNS = ["image", "scene", "dataset", "metric", "protocol", "kind", "value"]
"""Images of one ``scene`` show the same thing; ``kind``: ``degraded`` or ``restored``."""

WIDE = re.compile(r"(?:(?P<protocol>[^:]+):)?(?P<kind>degraded|restored)_(?P<metric>\w+)")
"""A column of earlier versions, which had a row per image; without a protocol: of the row's."""
UNTOUCHED = "untouched_psnr"
"""What earlier versions called the restored ``undegraded_psnr``, which is by ``rgb8``."""


def write_scores(folder: Path, rows: Sequence[Mapping[str, Any]] | pd.DataFrame) -> None:
    """Write ``test_images.csv``.

    Args:
        folder: the run's directory.
        rows: with the keys :data:`COLUMNS`, images in test order. A value may be infinite (PSNR of
            equal images) or NaN (the metric is not defined for the image); its digits are kept.
    """
    with atomic_write(folder / TEST_IMAGES) as file:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False, lineterminator="\n")


def read_scores(folder: Path) -> pd.DataFrame:
    """Read ``test_images.csv``, of this version or an earlier one.

    Returns:
        The columns :data:`COLUMNS`, images in test order: strings, and ``value`` in float64, NaN
        where a metric is not defined for an image.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    path = folder / TEST_IMAGES
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        long = table if "value" in table else _lengthened(table, folder)
        value = long["value"].map(lambda digits: float(digits or "nan")).astype("float64")
        return long[COLUMNS].assign(value=value)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: cannot be read ({error}).") from None


def mean_scores(scores: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Means over images: ``{rgb8: {degraded: {psnr: 20.1, ssim: 0.5}, restored: {...}}, ...}``.

    Images for which a metric is not defined do not count to its mean.
    """
    means: dict[str, dict[str, dict[str, float]]] = {}
    groups = scores.groupby(["protocol", "kind", "metric"], sort=False)["value"]
    for key, values in groups:
        protocol, kind, metric = map(str, key)
        means.setdefault(protocol, {}).setdefault(kind, {})[metric] = _mean(values)
    return means


def scores_by_dataset(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """:func:`mean_scores` of each data set of a mixed test set, and its number of ``images``.

    Empty where the images are no mixture's, which are called ``<data set>/<image>``.
    """
    places = zip(scores["image"], scores["dataset"], strict=True)
    mixed = scores[[image.startswith(f"{dataset}/") for image, dataset in places]]
    return {
        str(dataset): {"images": group["image"].nunique(), **mean_scores(group)}
        for dataset, group in mixed.groupby("dataset", sort=False)
    }


def _mean(values: "pd.Series[float]") -> float:
    defined = values.dropna().tolist()
    # Added one after the other: pandas' order of adding would change the last digits.
    return sum(defined) / len(defined) if defined else float("nan")


def _lengthened(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The table of an earlier version, a row per image, as one with a row per score.

    It does not say which scene an image shows: every image counts as one of its own.
    """
    own = read_result(folder).get("dataset", "")
    names = table["name"]
    about = pd.DataFrame({"image": names, "scene": names})
    about["dataset"] = [name.partition("/")[0] if "/" in name else own for name in names]
    parts = []
    for column in table.columns:
        if column == UNTOUCHED:
            metric, protocol, kind = "undegraded_psnr", "rgb8", "restored"
        elif found := WIDE.fullmatch(column):
            metric, protocol, kind = found["metric"], found["protocol"], found["kind"]
        else:
            continue
        of_row = table.get("protocol", "rgb8")
        values = {"metric": metric, "protocol": protocol or of_row, "kind": kind}
        parts.append(about.assign(**values, value=table[column]))
    return pd.concat(parts).sort_index(kind="stable")
