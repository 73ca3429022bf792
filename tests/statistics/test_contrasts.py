"""The variance of a contrast, from its definition and against t tests that everybody knows."""

import numpy as np
import pytest
from scipy.stats import bartlett
from scipy.stats import t as student

from ir_lightning.errors import UsageError
from ir_lightning.statistics.effects import effects


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
    by_scene = [sum(weights[k] * scores[k, :, i].mean() for k in range(3)) for i in range(30)]
    own = [np.var(level.mean(axis=1), ddof=1) for level in scores]
    parts = [(np.var(by_scene, ddof=1) / 30, 29)]
    parts += [(w**2 * variance / 4, 3) for w, variance in zip(weights, own, strict=True)]

    contrast = effects(scores).contrasts(weights)

    value = np.mean(by_scene)
    assert contrast.value == pytest.approx(value)
    assert contrast.standard_error == pytest.approx(np.sqrt(sum(part for part, _ in parts)))
    for alpha in (0.05, 0.002):
        reach = np.sqrt(sum(student.ppf(1 - alpha, df) ** 2 * part for part, df in parts))
        low, high = contrast.limits(alpha)
        assert low == pytest.approx(value - reach)
        assert high == pytest.approx(value + reach)
        assert contrast.p_above(low) == pytest.approx(alpha, rel=1e-4)
        assert contrast.p_below(high) == pytest.approx(alpha, rel=1e-4)
        assert contrast.p_below(low) == pytest.approx(1 - alpha, rel=1e-4)


def test_levels_of_a_sweep_share_a_spread_where_bartlett_lets_them() -> None:
    scores = table(3, 4, 30)
    runs = [level.mean(axis=1) for level in scores]
    found = effects(scores, share=True)
    assert found.shared is not None
    assert found.shared.p == pytest.approx(bartlett(*runs).pvalue)
    assert (found.shared.df, effects(scores).shared) == (9, None)
    seed = 2 * np.mean([np.var(run, ddof=1) for run in runs]) / 4
    scene = np.var(scores[0].mean(axis=0) - scores[1].mean(axis=0), ddof=1) / 30
    assert found.contrasts([1, -1, 0]).standard_error == pytest.approx(np.sqrt(seed + scene))
    scores[0] += np.array([-9, 9, -9, 9])[:, None]
    assert effects(scores, share=True).shared is None


def test_many_contrasts_at_once_are_the_same_one_by_one() -> None:
    found = effects(table(4, 3, 20))
    weights = np.random.default_rng(1).normal(size=(2, 5, 4))
    together = found.contrasts(weights)
    assert together.value.shape == (2, 5)
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
    runs = kept.mean(axis=1), scores[1].mean(axis=1)
    seed = np.var(runs[0], ddof=1) / 3 + np.var(runs[1], ddof=1) / 4
    image = np.var(kept.mean(axis=0) - scores[1].mean(axis=0), ddof=1) / 25
    assert found.contrasts([1, -1]).standard_error == pytest.approx(np.sqrt(seed + image))


def test_scores_without_variance_leave_no_doubt() -> None:
    scores = np.stack([np.full((3, 5), 30.0), np.full((3, 5), 29.0)])
    contrast = effects(scores).contrasts([1, -1])
    assert contrast.p_above(0.5) == 0
    assert contrast.p_above(1.5) == 1
    assert contrast.p_above(1.0) == 0.5


@pytest.mark.parametrize(
    ("shape", "words"),
    [((2, 1, 9), "1 seed of a cell"), ((2, 2, 9), "2 seeds of a cell"), ((2, 3, 4), "4 scenes")],
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
    with pytest.raises(ValueError, match="levels, seeds, scenes"):
        effects(np.zeros((3, 4)))
