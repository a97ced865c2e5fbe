"""The image and the composition: what a machine can say of them without building anything."""

from __future__ import annotations

import subprocess

from ruamel.yaml import YAML

from monitor.brand import BrandTree
from monitor.config import load
from tests.conftest import REPOSITORY
from tests.support.programs import CHECKS, program

DEPLOY = REPOSITORY / "deploy"


def _run(*argv: object) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_dockerfile_is_clean():
    _run(program("hadolint", CHECKS), DEPLOY / "Dockerfile")


def test_the_dockerfile_follows_good_practice():
    argv = ["--framework", "dockerfile", "--config-file", DEPLOY / "checkov.yaml", "--skip-download", "--compact"]
    _run(program("checkov", CHECKS), *argv, "--quiet", "--file", DEPLOY / "Dockerfile")


def test_the_composition_is_well_formed():
    checker = program("check-jsonschema", CHECKS)
    _run(checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_what_the_composition_names_is_there():
    compose = YAML(typ="safe").load(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (DEPLOY / source).exists() if source.startswith("./") else source in compose["volumes"]
            assert known, f"{name}: {source}"


def test_the_composition_s_configuration_is_one():
    settings = load(DEPLOY / "compose" / "monitor.yaml", {"DB_PASSWORD": "x"})
    assert settings.channels
    assert BrandTree.load(settings.brands).nodes


def test_only_what_the_image_is_made_of_goes_to_the_builder():
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = set()
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied.update(line.split()[1:-1])
    assert kept == copied
    assert all((REPOSITORY / name).exists() for name in kept)
