"""What the manifests of deploy/kubernetes promise, read from the files: no cluster needed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ppgssl.cli.main import app
from ppgssl.config import load_config
from ppgssl.jobs.settings import Settings
from ppgssl.training.launch import num_processes

FOLDER = Path(__file__).parent.parent / "deploy" / "kubernetes"
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (part["kind"], part["metadata"]["name"]): part
    for file in sorted(FOLDER.rglob("*.yaml"))
    if file.name != "kustomization.yaml"
    for part in yaml.safe_load_all(file.read_text())
}
OWNERS = {name: o["spec"] for (_, name), o in OBJECTS.items() if "template" in o["spec"]}
PODS = {name: owner["template"]["spec"] for name, owner in OWNERS.items()}


def container(name: str) -> dict[str, Any]:
    [only] = PODS[name]["containers"]
    return only


def options_of_training() -> list[str]:
    arguments = container("training")["args"]
    return arguments[arguments.index("train") + 1 :]


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "training"])
def test_a_kustomization_lists_the_files_beside_it(folder: Path):
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted(
        file.name for file in folder.glob("*.yaml") if file.name != "kustomization.yaml"
    )


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "training"])
def test_kustomize_puts_the_image_of_the_registry_into_every_pod_of_ours(folder: Path):
    built = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    ).stdout

    assert "image: registry.example.org/ppgssl:latest" in built
    assert "image: ppgssl\n" not in built


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights_that_it_does_not_need(name: str):
    pod, rights = PODS[name], container(name)["securityContext"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False)


@pytest.mark.parametrize("name", PODS)
def test_what_is_mounted_is_there(name: str):
    mounted = {mount["name"] for mount in container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in PODS[name]["volumes"]}
    claimed = {c["metadata"]["name"] for c in OWNERS[name].get("volumeClaimTemplates", [])}

    assert mounted == volumes.keys() | claimed
    for volume in volumes.values():
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            assert OBJECTS["PersistentVolumeClaim", claim]["spec"]["accessModes"] == [
                "ReadWriteMany"
            ]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_the_service_is_told_settings_that_it_has(name: str):
    names = [variable["name"] for variable in container(name)["env"]]
    known = {f"PPGSSL_{field.upper()}" for field in Settings.model_fields}

    assert {n for n in names if n.startswith("PPGSSL_")} <= known
    assert names.index("DATABASE_PASSWORD") < names.index("PPGSSL_DATABASE_URL")  # expands it
    assert ("PPGSSL_API_KEY" in names) is (name == "api")
    assert PODS[name]["enableServiceLinks"] is False


def test_a_stopped_worker_has_time_to_write_a_checkpoint():
    grace = Settings.model_fields["stop_grace_seconds"].default

    assert PODS["worker"]["terminationGracePeriodSeconds"] > grace


@pytest.mark.parametrize("name", ["api", "postgres", "training"])
def test_a_service_finds_its_pods(name: str):
    selector = OBJECTS["Service", name]["spec"]["selector"]
    made_by_a_job = {"job-name": "training"}

    labels = OWNERS[name]["template"].get("metadata", {}).get("labels", made_by_a_job)
    assert selector == labels


def test_the_agents_of_a_run_are_as_many_as_its_pods_and_meet_at_the_first():
    job, arguments = OBJECTS["Job", "training"]["spec"], container("training")["args"]

    assert f"--nnodes={job['completions']}" in arguments
    assert job["completions"] == job["parallelism"]
    assert f"--nproc-per-node={container('training')['resources']['limits']['nvidia.com/gpu']}" in (
        arguments
    )
    assert f"--rdzv-endpoint=training-0.{PODS['training']['subdomain']}:29400" in arguments


def test_every_process_of_a_run_has_a_micro_batch():
    options = options_of_training()
    overrides = [o.removeprefix("--set=") for o in options if o.startswith("--set=")]
    nodes, gpus = OBJECTS["Job", "training"]["spec"]["completions"], 8

    count = nodes * gpus
    config = load_config("ssl_pretraining", [*overrides, f"training.devices={count}", "device=cpu"])

    assert num_processes(config) == count


def test_a_run_is_started_with_options_that_there_are():
    train = typer.main.get_command(app).commands["train"]
    known = {option for parameter in train.params for option in parameter.opts}

    assert {option.partition("=")[0] for option in options_of_training()} <= known
