"""The variance of a contrast, from its definition and against t tests that everybody knows."""

import numpy as np
import pytest
from scipy.stats import t as student

from ir_lightning.errors import UsageError
from ir_lightning.statistics.comparison import effects


def table(levels: int, seeds: int, images: int, seed: int = 0) -> np.ndarray:
    """Scores with all the variance there is."""
    random = np.random.default_rng(seed)
    return (
        random.normal(25, 1, (levels, 1, 1))
        + random.normal(0, 0.2, (levels, seeds, 1))
        + random.normal(0, 3, (1, 1, images))
        + random.normal(0, 0.5, (levels, 1, images))
        + random.normal(0, 0.3, (levels, seeds, images))
    )


@pytest.mark.parametrize("weights", [(1, -1, 0), (0.5, 0.5, -1), (-1, 0, 1)])
def test_the_definition_word_for_word(weights: tuple[float, ...]) -> None:
    scores = table(3, 4, 30)
    levels, seeds, images = scores.shape
    seed_variance = np.mean([np.var(level.mean(axis=1), ddof=1) for level in scores])
    by_image = [sum(weights[k] * scores[k, :, i].mean() for k in range(3)) for i in range(images)]
    seed = sum(w**2 for w in weights) * seed_variance / seeds
    image = np.var(by_image, ddof=1) / images
    df = (seed + image) ** 2 / (seed**2 / (levels * (seeds - 1)) + image**2 / (images - 1))

    contrast = effects(scores).contrasts(weights)

    error = np.sqrt(seed + image)
    assert contrast.value == pytest.approx(np.mean(by_image))
    assert contrast.standard_error == pytest.approx(error)
    assert contrast.df == pytest.approx(df)
    t = (np.mean(by_image) - 0.1) / error
    assert contrast.p_below(0.1) == pytest.approx(student.cdf(t, df))
    assert contrast.p_above(0.1) == pytest.approx(student.sf(t, df))
    low, high = contrast.limits(0.05)
    assert low == pytest.approx(np.mean(by_image) - student.ppf(0.95, df) * error)
    assert high == pytest.approx(np.mean(by_image) + student.ppf(0.95, df) * error)


def test_many_contrasts_at_once_are_the_same_one_by_one() -> None:
    found = effects(table(4, 3, 20))
    weights = np.random.default_rng(1).normal(size=(2, 5, 4))
    together = found.contrasts(weights)
    assert together.df.shape == (2, 5)
    one = found.contrasts(weights[1, 3])
    assert together.standard_error[1, 3] == pytest.approx(one.standard_error)
    assert together.p_below(0.2)[1, 3] == pytest.approx(one.p_below(0.2))


def test_a_missing_run_leaves_the_others_their_weight() -> None:
    scores = table(2, 4, 25)
    scores[0, 1] = np.nan
    found = effects(scores)
    kept = scores[0, [0, 2, 3]]
    assert found.seeds.tolist() == [3, 4]
    assert found.means[0] == pytest.approx(kept.mean())
    assert found.seed_df == 5
    runs = kept.mean(axis=1), scores[1].mean(axis=1)
    scatter = sum(((run - run.mean()) ** 2).sum() for run in runs)
    assert found.seed_variance == pytest.approx(scatter / 5)
    seed = found.seed_variance * (1 / 3 + 1 / 4)
    image = np.var(kept.mean(axis=0) - scores[1].mean(axis=0), ddof=1) / 25
    assert found.contrasts([1, -1]).standard_error == pytest.approx(np.sqrt(seed + image))


def test_scores_without_variance_leave_no_doubt() -> None:
    scores = np.stack([np.full((2, 5), 30.0), np.full((2, 5), 29.0)])
    contrast = effects(scores).contrasts([1, -1])
    assert contrast.p_above(0.5) == 0
    assert contrast.p_above(1.5) == 1
    assert contrast.p_above(1.0) == 0.5


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 1, 9), "two training seeds"), ((2, 3, 1), "one test image")]
)
def test_what_cannot_be_judged_is_said(shape: tuple[int, int, int], words: str) -> None:
    found = effects(np.random.default_rng(0).normal(size=shape))
    assert found.gap is not None
    assert words in found.gap
    with pytest.raises(UsageError, match=words):
        found.contrasts([1, -1])


def test_a_level_without_a_run_cannot_be_judged() -> None:
    scores = table(3, 2, 9)
    scores[1] = np.nan
    found = effects(scores)
    assert found.gap == "1 of the 3 levels have no finished run"
    assert np.isnan(found.means).tolist() == [False, True, False]


@pytest.mark.parametrize(("value", "words"), [(np.nan, "lacks the score"), (np.inf, "infinite")])
def test_unusable_scores_are_refused(value: float, words: str) -> None:
    scores = table(2, 2, 9)
    scores[0, 1, 4] = value
    with pytest.raises(UsageError, match=words):
        effects(scores)


def test_an_array_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="levels, seeds, images"):
        effects(np.zeros((3, 4)))
