"""A small model, trained in seconds, and the folder it leaves."""

import json
import random
from pathlib import Path

import pytest
from prm_cases import record_of, small

from rltf.prm.model import ProcessRewardModel
from rltf.prm.training import PrmTraining, _labelled_rollout


@pytest.fixture(scope="session")
def records():
    draw = random.Random(0)
    policy = small()
    made = [record_of(draw, number) for number in range(160)]
    return [record | {"answer": policy.decode(tuple(record["token_ids"]))[0]} for record in made]


@pytest.fixture(scope="session")
def trained(records, tmp_path_factory):
    """(folder, what training found)"""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("prm")
    (data / "prm_data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    class Pipeline:
        policy = small()

    training = PrmTraining(str(data), lr=5e-3, epochs=5)
    return folder, training(Pipeline(), None, 1, folder)


@pytest.fixture(scope="session")
def model(trained, records):
    """(folder, the same model as it was trained, programs)"""
    folder, _ = trained
    critic = ProcessRewardModel(small(), 0, 1e-3, 0.0, 1, 8)
    critic._weights_file = str(folder / "critic.pt")
    critic.start("cpu")
    return folder, critic, [_labelled_rollout(record) for record in records[:7]]


@pytest.fixture
def config_dir():
    return str(Path(__file__).parents[2] / "configs")
