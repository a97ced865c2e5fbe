import numpy as np

from monitor.sentiment.metrics import auc, calibration_error, calibration_floor, confusion, macro_f1, macro_recall


def test_a_class_that_is_never_said_counts_as_zero() -> None:
    table = confusion(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 0]), 3)
    assert macro_recall(table) == round(1 / 3, 4)
    assert macro_f1(table) == round(2 * 2 / 6 / 3, 4)


def test_auc_is_half_for_a_constant_and_counts_ties_half() -> None:
    assert auc(np.array([0, 1, 0, 1]), np.ones(4)) == 0.5
    assert auc(np.array([0, 1]), np.array([0.2, 0.9])) == 1.0
    assert np.isnan(auc(np.array([1, 1]), np.array([0.2, 0.9])))


def test_overconfidence_shows_and_the_floor_shrinks_with_rows() -> None:
    sure = np.full(1000, 0.95)
    assert abs(calibration_error(sure, np.arange(1000) < 700) - 0.25) < 1e-9
    assert calibration_floor(np.full(100, 0.8)) > calibration_floor(np.full(10_000, 0.8))
