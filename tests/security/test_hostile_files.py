"""Files of strangers are data: a pickle that would run a command is refused in one sentence, and does not run it."""

import io
import os
import pickle
import zipfile

import pytest
import torch

from rltf.benchmarks.mbpp import Mbpp
from rltf.commands.overrides import train_overrides
from rltf.commands.train import train
from rltf.policies.load import pretrained
from rltf.policies.tiny import tiny_t5
from rltf.report.write.files import write_report
from rltf.runs.checkpoint_file import check_checkpoint, newest, read_checkpoint
from rltf.runs.resume import begin_run


class Evil:
    """Whoever unpickles it makes a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


@pytest.fixture
def mark(tmp_path):
    """The file that exists once hostile code has run."""
    path = tmp_path / "it ran"
    yield path
    assert not path.exists()


def zipped(evil):
    """As `torch.save` writes it: all checksums are right."""
    file = io.BytesIO()
    torch.save({"state_dict": {"weight": evil}}, file)
    return file.getvalue()


KINDS = {"zip": zipped, "pickle": lambda evil: pickle.dumps(evil, protocol=2)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_hostile_file_is_hostile(tmp_path, kind):
    mark, file = tmp_path / "ran", tmp_path / "file"
    file.write_bytes(KINDS[kind](Evil(mark)))
    if kind == "zip":
        torch.load(file, weights_only=False)
    else:
        pickle.loads(file.read_bytes())
    assert mark.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_checkpoint_is_refused(tmp_path, mark, kind):
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "last.ckpt"
    file.write_bytes(KINDS[kind](Evil(mark)))
    with pytest.raises(ValueError, match=r"^resume: .*last.ckpt is no checkpoint of tensors and plain values"):
        check_checkpoint(file, {})
    with pytest.raises(ValueError, match=r"^resume: (no checkpoint in .* is whole|.*last.ckpt is no checkpoint)"):
        read_checkpoint(newest(tmp_path, ("last", "warmup")))


def test_a_whole_zip_archive_that_is_no_checkpoint_is_refused(tmp_path):
    file = tmp_path / "last.ckpt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello", "world")
    with pytest.raises(ValueError, match=r"^resume: .*last.ckpt is no checkpoint"):
        read_checkpoint(file)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_hostile_weights_of_a_policy_are_refused(tmp_path, mark, kind):
    folder = tmp_path / "policy"
    tiny_t5(d_model=16, d_ff=16, layers=1, heads=2).export(folder)
    pretrained("ours", path=str(folder))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(KINDS[kind](Evil(mark)))
    with pytest.raises(ValueError, match=r"^model.path: the weights of .* are a pickle of more than tensors"):
        pretrained("ours", path=str(folder))


def test_code_beside_a_policy_is_not_run(tmp_path, mark):
    folder = tmp_path / "policy"
    tiny_t5(d_model=16, d_ff=16, layers=1, heads=2).export(folder)
    (folder / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForSeq2SeqLM": "evil.Model"}}'
    )
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(ValueError, match=r"^model.path: the configuration of .* does not load"):
        pretrained("ours", path=str(folder))


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_pickle_or_a_yaml_object_for_a_benchmark_is_no_benchmark(tmp_path, mark, suffix):
    file = tmp_path / f"mbpp.{suffix}"
    for content in (
        KINDS["pickle"](Evil(mark)),
        f"!!python/object/apply:os.system ['touch \"{mark}\"']\n".encode(),
        f"__import__('os').system('touch \"{mark}\"')\n".encode(),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"benchmark\.path"):
            Mbpp(path=str(file)).problems("train")


def test_yaml_objects_in_a_run_folder_make_nothing(tmp_path, mark):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / ".hydra").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    for name in ("config.yaml", ".hydra/overrides.yaml"):
        (run / name).write_text(f"- !!python/object/apply:os.system ['touch \"{mark}\"']\n")
    with pytest.raises(ValueError, match=r"^resume: .*config.yaml"):
        begin_run({"seed": 1}, run, resumed=True)
    with pytest.raises(ValueError, match=r"overrides.yaml is no list of overrides"):
        train_overrides([f"resume={run}"])
    (run / "rollouts.jsonl").write_bytes(KINDS["pickle"](Evil(mark)))
    with pytest.raises(ValueError, match=str(run)):
        write_report(run)


@pytest.mark.parametrize(
    "override",
    [
        "trusted=[rltf,lightning,os]",
        "++trusted=[os]",
        "model.trust_remote_code=true",
        "model={_target_: rltf.policies.load.pretrained, trust_remote_code: true}",
        "hydra.callbacks.x._target_=os.system",
        "++hydra.callbacks.x._target_=os.system",
        "hydra/launcher=joblib",
        "--config-dir=/tmp",
        "-m",
    ],
)
def test_what_lets_code_run_is_not_taken_from_a_run_folder(tmp_path, override):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").write_text(f"- seed=3\n- '{override}'\n")
    with pytest.raises(ValueError, match=r"^resume: "):
        train_overrides([f"resume={run}"])


def test_trust_that_is_given_again_counts(tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").write_text("- seed=3\n- trusted=[rltf,mine]\n")
    given = ["trusted=[rltf,mine]", f"resume={run}"]
    assert train_overrides(given) == ["seed=3", "trusted=[rltf,mine]", *given, f"hydra.run.dir='{run}'"]


def test_a_run_does_not_resume_from_a_hostile_checkpoint(composed, tmp_path, mark):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(zipped(Evil(mark)))
    with pytest.raises(ValueError, match=r"^resume: .*last.ckpt is no checkpoint of tensors and plain values"):
        train(composed("train", "debug=default", f"resume={run}", f"paths.output_dir={run}"))
