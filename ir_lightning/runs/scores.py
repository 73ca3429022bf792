"""Scores of test images on disk: ``test_images.csv`` of a run, a row per image and score."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.runs.record import TEST_IMAGES, mean, mean_score, read_result

COLUMNS = ["image", "scene", "dataset", "metric", "protocol", "kind", "value"]
"""Images of one ``scene`` show the same thing; ``kind``: ``degraded`` or ``restored``."""

WIDE = re.compile(r"(?:(?P<protocol>[^:]+):)?(?P<kind>degraded|restored)_(?P<metric>\w+)")
"""A column of earlier versions, which had a row per image; without a protocol: of the row's."""
UNTOUCHED = "untouched_psnr"
"""What earlier versions called the restored ``undegraded_psnr``, which is by ``rgb8``."""


def write_scores(folder: Path, rows: Sequence[Mapping[str, Any]] | pd.DataFrame) -> None:
    """Write ``test_images.csv`` of rows with the keys :data:`COLUMNS`, images in test order.

    A value may be infinite (PSNR of equal images) or NaN (not defined for it); digits are kept.
    """
    with atomic_write(folder / TEST_IMAGES) as file:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False, lineterminator="\n")


def read_scores(folder: Path) -> pd.DataFrame:
    """Read ``test_images.csv``, of this version or an earlier one: :data:`COLUMNS`, in test order.

    Strings, and ``value`` in float64, NaN where a metric is not defined for an image.

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


def score_table(images: Iterable[Mapping[str, Any]], dataset: str) -> pd.DataFrame:
    """The scores of a test as a table with the columns :data:`COLUMNS`.

    ``images``, in test order, have ``image``, ``scene`` and ``scores``, which are values by
    protocol, kind and metric; ``dataset`` is of images that are not of a mixture.
    """
    rows = [
        (image["image"], image["scene"], _dataset_of(image["image"], dataset), metric, *of, value)
        for image in images
        for (*of, metric), value in image["scores"].items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def mean_scores(scores: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Means over images: ``{rgb8: {degraded: {psnr: 20.1, ssim: 0.5}, restored: {...}}, ...}``.

    Images for which a metric is not defined do not count to its mean.
    """
    means: dict[str, dict[str, dict[str, float]]] = {}
    for key, values in scores.groupby(["protocol", "kind", "metric"], sort=False)["value"]:
        protocol, kind, metric = map(str, key)
        average = mean_score(metric, values) if kind == "restored" else mean(values)
        means.setdefault(protocol, {}).setdefault(kind, {})[metric] = average
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


def _dataset_of(image: str, own: str) -> str:
    """The data set of an image: images of a mixture are called ``<data set>/<image>``."""
    dataset, slash, _ = image.partition("/")
    return dataset if slash else own


def _lengthened(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The table of an earlier version, a row per image, as one with a row per score.

    It does not say which scene an image shows: those that differ in a last number, such as
    ``chelsea-1`` and ``chelsea-2``, count as one, and any other as one of its own.
    """
    own, names, parts = read_result(folder).get("dataset", ""), table["name"], []
    datasets = [_dataset_of(name, own) for name in names]
    scenes = [re.sub(r"-\d+$", "", name) for name in names]
    about = pd.DataFrame({"image": names, "scene": scenes, "dataset": datasets})
    for column in table.columns:
        if column == UNTOUCHED:
            metric, protocol, kind = "undegraded_psnr", "rgb8", "restored"
        elif found := WIDE.fullmatch(column):
            metric, protocol, kind = found["metric"], found["protocol"], found["kind"]
        else:
            continue
        by = protocol or table.get("protocol", "rgb8")
        parts.append(about.assign(metric=metric, protocol=by, kind=kind, value=table[column]))
    return pd.concat(parts).sort_index(kind="stable")
