"""What the manifests of deploy/kubernetes promise, read from the files: no cluster needed."""

import re
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

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
CONSTRAINTS = ROOT / "constraints.txt"
KUSTOMIZATIONS = [FOLDER, FOLDER / "training", FOLDER / "ray"]
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (part["kind"], part["metadata"]["name"]): part
    for file in sorted(FOLDER.rglob("*.yaml"))
    if file.name != "kustomization.yaml"
    for part in yaml.safe_load_all(file.read_text())
}
RAY_JOB = OBJECTS["RayJob", "preparation"]["spec"]
RAY_CLUSTER = RAY_JOB["rayClusterSpec"]
OWNERS = {name: o["spec"] for (_, name), o in OBJECTS.items() if "template" in o["spec"]} | {
    "ray submitter": {"template": RAY_JOB["submitterPodTemplate"]},
    "ray head": RAY_CLUSTER["headGroupSpec"],
    **{f"ray {group['groupName']}": group for group in RAY_CLUSTER["workerGroupSpecs"]},
}
PODS = {name: owner["template"]["spec"] for name, owner in OWNERS.items()}


def container(name: str) -> dict[str, Any]:
    [only] = PODS[name]["containers"]
    return only


def options_of_training() -> list[str]:
    arguments = container("training")["args"]
    return arguments[arguments.index("train") + 1 :]


def options_of(command: str) -> set[str]:
    parameters = typer.main.get_command(app).commands[command].params
    return {option for parameter in parameters for option in parameter.opts}


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_a_kustomization_lists_the_files_beside_it(folder: Path):
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted(
        file.name for file in folder.glob("*.yaml") if file.name != "kustomization.yaml"
    )


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_kustomize_puts_the_image_of_the_registry_into_every_pod_of_ours(folder: Path):
    built = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    ).stdout

    images = [
        line.split()[-1] for line in built.splitlines() if line.strip(" -").startswith("image:")
    ]
    ours = [image for image in images if "ppgssl" in image]
    assert ours
    assert all(image.startswith("registry.example.org/") for image in ours)


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
    assert {option.partition("=")[0] for option in options_of_training()} <= options_of("train")


def test_a_ray_job_gives_a_command_that_there_is_on_volumes_that_its_workers_see():
    program, command, source, *options = RAY_JOB["entrypoint"].split()

    assert program == "ppgssl"
    assert {option for option in options if option.startswith("--")} <= options_of(command)
    assert options[options.index("--engine") + 1] == "ray"
    for name in ("ray head", "ray workers"):
        mounted = {mount["mountPath"] for mount in container(name)["volumeMounts"]}
        assert {f"/{Path(path).parts[1]}" for path in (source, options[1])} <= mounted


def test_the_ray_of_a_ray_job_is_that_of_its_image_and_of_the_tests():
    [pinned] = re.findall(r"^ray==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    installed = (FOLDER / "ray" / "Dockerfile").read_text()

    assert RAY_CLUSTER["rayVersion"] == pinned
    assert f"ray[default,train]=={pinned}" in installed
