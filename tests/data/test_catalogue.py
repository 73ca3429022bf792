"""`ir-lightning data list` knows every data set that is read from disk."""

import json

import pytest
import yaml

from ir_lightning.cli import main
from ir_lightning.data.audit.catalogue import catalogue
from tests.conftest import CONF

# Table IV of the paper.
TABLE_4 = {
    "sidd": (160, 1280),
    "reside": (13990, 500),
    "rain800": (700, 100),
    "rain1200": (12000, 1200),
    "raincityscapes": (9432, 1188),
    "outdoorrain": (7200, 1800),
}


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["data", "list", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_data_set_on_disk_is_listed_and_can_be_chosen() -> None:
    options = {path.stem: yaml.safe_load(path.read_text()) for path in CONF.glob("dataset/*.yaml")}
    on_disk = {name for name, option in options.items() if option["composition"] is None}
    assert set(catalogue()) == on_disk


def test_counts_are_those_of_the_paper() -> None:
    counts = {name: catalogue()[name].pairs for name in TABLE_4}
    assert counts == {
        name: {"training": train, "test": test} for name, (train, test) in TABLE_4.items()
    }


def test_every_entry_is_complete() -> None:
    for name, entry in catalogue().items():
        for field, value in vars(entry).items():
            assert value, f"{name}.{field}"
        assert set(entry.pairs) == {"training", "test"}


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    words = listed(capsys).split()
    assert set(catalogue()) <= set(words)


def test_the_list_for_machines_is_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    entries = json.loads(listed(capsys, "--json"))
    assert entries == {name: vars(entry) for name, entry in catalogue().items()}
    assert list(json.loads(listed(capsys, "rain800", "--json"))) == ["rain800"]


@pytest.mark.parametrize("name", catalogue())
def test_one_data_set_is_shown_with_its_tree(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = listed(capsys, name)
    for line in catalogue()[name].tree.splitlines():
        assert line in shown
    assert catalogue()[name].licence in shown


def test_an_unknown_data_set_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", "list", "rain900"])
    assert ended.value.code == 2
    assert "rain900" in capsys.readouterr().err
