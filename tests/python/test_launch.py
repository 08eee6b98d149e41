"""mlx.launch starts processes on this machine, numbers them, and ends when one of them fails."""

import json
import os
import subprocess
import sys

import pytest
from mlx._distributed_utils import config, launch
from mlx._distributed_utils.common import Hostfile

PROGRAM = """
import json, os, sys
ring = json.load(open(os.environ["MLX_HOSTFILE"])) if "MLX_HOSTFILE" in os.environ else None
kept = {k: os.environ.get(k) for k in ("MLX_RANK", "MLX_WORLD_SIZE", "NCCL_PORT", "COLOR")}
with open(os.path.join(sys.argv[1], kept["MLX_RANK"]), "w") as f:
    json.dump([ring, kept], f)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path / "program.py"


def seen(folder, size):
    return [json.loads((folder / str(rank)).read_text()) for rank in range(size)]


def test_processes_know_their_ranks(program, tmp_path):
    assert launch.main(["-n", "3", "-p", "4000", "--env", "COLOR=a=b", str(program), str(tmp_path)])\
        == 0  # fmt: skip
    for rank, (ring, kept) in enumerate(seen(tmp_path, 3)):
        assert ring == [["127.0.0.1:4000"], ["127.0.0.1:4001"], ["127.0.0.1:4002"]]
        assert kept["MLX_RANK"] == str(rank) and kept["COLOR"] == "a=b"


def test_nccl_is_told_where_to_meet(program, tmp_path):
    options = ["-n", "2", "--backend", "nccl", "--nccl-port", "777"]
    assert launch.main([*options, "--", str(program), str(tmp_path)]) == 0
    for ring, kept in seen(tmp_path, 2):
        assert ring is None
        assert kept["MLX_WORLD_SIZE"] == "2" and kept["NCCL_PORT"] == "777"


def test_a_hostfile_says_who_and_how(program, tmp_path, capfd):
    path = tmp_path / "hosts.json"
    assert config.main(["-n", "2", "--env", "COLOR=red", "--output-hostfile", str(path)]) == 0
    assert Hostfile.from_file(path).envs == ["COLOR=red"]
    assert launch.main(["--hostfile", str(path), str(program), str(tmp_path)]) == 0
    assert [kept["COLOR"] for _, kept in seen(tmp_path, 2)] == ["red", "red"]
    assert "group of one" in capfd.readouterr().err


WRONG = [
    "",
    "3",
    "[]",
    "[1]",
    '[{"ips": []}]',
    '[{"ssh": "a", "ips": ["b"]}]',
    '{"hosts": 1}',
    '{"hosts": [{"ssh": "a"}], "envs": ["X"]}',
]


@pytest.mark.parametrize("content", WRONG)
def test_a_wrong_hostfile_is_refused(tmp_path, content, capfd):
    path = tmp_path / "hosts.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"hosts\.json"):
        Hostfile.from_file(path)
    assert launch.main(["--hostfile", str(path), "true"]) == 2
    assert "hosts.json" in capfd.readouterr().err


def test_other_machines_and_missing_programs_are_refused(capfd):
    assert launch.main(["--hosts", "elsewhere.example", "true"]) == 2
    assert "this machine only" in capfd.readouterr().err
    assert launch.main(["no-such-program"]) == 2
    assert launch.main([]) == 2
    assert config.main(["--over", "thunderbolt"]) == 2


def test_the_first_failure_ends_all():
    code = "import os, sys, time; time.sleep(60 * (os.environ['MLX_RANK'] == '0')); sys.exit(7)"
    assert launch.main(["-n", "2", sys.executable, "-c", code]) == 7


def test_as_a_command():
    command = [sys.executable, "-m", "mlx._distributed_utils.launch", "--print-python"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == sys.executable
