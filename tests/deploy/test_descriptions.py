"""What stands in deploy/ is valid by its own tools, and true of the product: names, ports, paths, figures."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gesso.api import health
from gesso.cli.main import app as commands
from gesso.core.settings import SETTINGS_CLASSES, Settings, SiteSettings, StorageSettings, WebSettings, env_name
from gesso.generation import events, routes
from gesso.providers.openai.options import Shape
from gesso.worker import HAND_OVER_SECONDS
from tests.deploy.front import nginx_or_skip

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BIN = Path(sys.executable).parent
PRODUCTION = Settings(site=SiteSettings(env="production"), web=WebSettings(), storage=StorageSettings())
MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")
NAMES = {env_name(owner, name) for owner in SETTINGS_CLASSES for name in owner.model_fields}
NGINX = (DEPLOY / "nginx" / "gesso.conf").read_text()
WEBS = (DEPLOY / "nginx" / "gesso.d" / "webs.conf").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def documents() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def kind(name: str) -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] == name]


def pods() -> list[dict[str, Any]]:
    return [document["spec"]["template"]["spec"] for document in kind("Deployment") + kind("Job")]


def seconds(words: str) -> float:
    """`2s` or `30s` as nginx and compose write it."""
    return float(words.removesuffix("s"))


def directive(name: str, text: str = NGINX) -> str:
    """The value of the only directive of this name that stands at the place looked for."""
    found = re.findall(rf"^\s+{name} ([^;]+);", text, re.MULTILINE)
    assert len(found) == 1, f"{name}: {found}"
    return str(found[0])


# --- valid by their own tools ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_each_manifest_is_valid(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, "1.32", strict=True)


def test_a_misspelled_field_would_be_found() -> None:
    [ingress] = kind("Ingress")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(ingress | {"spec": ingress["spec"] | {"rulez": []}}, "1.32", strict=True)


def test_every_manifest_is_part_of_the_site_or_the_migration() -> None:
    listed = {KUBERNETES / "secret.example.yaml"}
    for path in KUBERNETES.rglob("kustomization.yaml"):
        for resource in yaml.safe_load(path.read_text())["resources"]:
            found = (path.parent / resource).resolve()
            assert found.exists(), f"{path}: {resource}"
            listed.add(found)
    assert set(MANIFESTS) <= listed


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", ["", "migrate"])
def test_kustomize_puts_them_together(folder: str) -> None:
    done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    together = list(yaml.safe_load_all(done.stdout))
    assert {document["metadata"].get("namespace", "gesso") for document in together} == {"gesso"}


def test_compose_follows_its_schema() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nginx_takes_the_configuration_of_compose(tmp_path: Path) -> None:
    """All files as they stand, but for ports only root may open and a certificate that is not in the repository."""
    nginx = nginx_or_skip()
    shutil.copytree(DEPLOY / "nginx", tmp_path / "nginx")
    folder = tmp_path / "nginx"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    make += ["-subj", "/CN=test", "-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(make, check=True, capture_output=True)
    for path in (folder / "gesso.d" / "listen.conf", folder / "redirect.conf"):
        text = path.read_text().replace("/etc/nginx/tls", str(folder))
        text = re.sub(r"listen \[::\]:\d+.*;\n", "", text)
        path.write_text(re.sub(r"listen (443|80)\b", "listen unix:" + str(folder / path.stem) + ".sock", text))
    (folder / "main.conf").write_text(
        f"pid {folder}/pid; events {{}} http {{ access_log off; include gesso.conf; include redirect.conf; }}"
    )
    command = [nginx, "-t", "-p", str(folder), "-c", str(folder / "main.conf"), "-e", str(folder / "log")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr.replace('the "user" directive', "")


# --- true of the product -----------------------------------------------------------------------------------


_VARIABLE = (
    r"\b(?:GESSO_[A-Z_]*[A-Z]|DATABASE_URL|(?:FAL|REPLICATE|OPENAI|GEMINI)_(?:KEY|API_KEY|API_TOKEN|BASE_URL))\b"
)


def test_every_variable_that_is_named_exists() -> None:
    named = set()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            named |= set(re.findall(_VARIABLE, path.read_text()))
    assert {"GESSO_SECRET_KEY", "DATABASE_URL", "GESSO_STORAGE_URL"} <= named
    assert named <= NAMES, f"no such setting: {named - NAMES}"


def test_each_part_is_told_only_settings() -> None:
    told = {
        name
        for service in ("migrate", "web-1", "web-2", "worker")
        for name in COMPOSE["services"][service]["environment"]
    }
    for document in kind("ConfigMap") + kind("Secret"):
        told |= set(document.get("data", {})) | set(document.get("stringData", {}))
    assert told <= NAMES, f"no such setting: {told - NAMES}"


def test_what_is_told_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    [settings] = kind("ConfigMap")
    for name, value in settings["data"].items():
        monkeypatch.setenv(name, value)
    for owner in SETTINGS_CLASSES:
        owner()
    assert WebSettings().drain_seconds == 5


def test_commands_are_the_products() -> None:
    known = {info.name or info.callback.__name__ for info in commands.registered_commands if info.callback}
    ran = [container["command"] for pod in pods() for container in pod["containers"]]
    ran += [
        service["command"] for service in COMPOSE["services"].values() if service.get("command", [""])[0] == "gesso"
    ]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    ran.append(re.findall(r'"(\w+)"', re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)[0]))
    assert {tuple(command) for command in ran} == {("gesso", name) for name in ("serve", "work", "migrate")}
    assert {command[1] for command in ran} <= known


def test_probes_ask_paths_that_exist() -> None:
    paths = {route.path for route in health.router.routes}  # type: ignore[attr-defined]
    asked = set(re.findall(r"(?:path: |127\.0\.0\.1:8000)(/\w+)", "".join(map(Path.read_text, MANIFESTS))))
    asked |= set(re.findall(r"127\.0\.0\.1:8000(/\w+)", (DEPLOY / "Dockerfile").read_text()))
    assert asked == {"/healthz", "/readyz"} and asked <= paths
    assert f"location = {events.router.routes[0].path} {{" in NGINX  # type: ignore[attr-defined]


def test_everybody_means_the_same_port() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    [port] = re.findall(r"GESSO_PORT=(\d+)", dockerfile)
    assert re.findall(r"EXPOSE (\d+)", dockerfile) == [port]
    assert set(re.findall(r"^server \S+:(\d+) ", WEBS, re.MULTILINE)) == {port}
    [web] = [pod for pod in pods() if "ports" in pod["containers"][0]]
    assert web["containers"][0]["ports"] == [{"name": "http", "containerPort": int(port)}]
    opened = [rule["ports"] for policy in kind("NetworkPolicy") for rule in policy["spec"].get("ingress", [])]
    assert opened == [[{"port": int(port), "protocol": "TCP"}]]
    [service] = kind("Service")
    assert service["spec"]["ports"][0]["targetPort"] == "http"


def test_nginx_knows_the_webs_of_compose_and_they_know_nginx() -> None:
    services = COMPOSE["services"]
    addresses = [services[name]["networks"]["default"]["ipv4_address"] for name in ("web-1", "web-2")]
    assert re.findall(r"^server (\S+):8000 ", WEBS, re.MULTILINE) == addresses
    nginx = services["nginx"]["networks"]["default"]["ipv4_address"]
    assert services["web-1"]["environment"]["GESSO_WEB_TRUSTED_PROXIES"] == nginx


def test_nginx_closes_idle_connections_first_and_forgives_in_time() -> None:
    idle, drain = seconds(directive("keepalive_timeout", NGINX.split("map ")[0])), PRODUCTION.drain_seconds
    assert idle < drain, "a draining web would close a connection that nginx may still use"
    assert idle < PRODUCTION.web.keep_alive_seconds
    for patience in re.findall(r"fail_timeout=(\w+)", WEBS):
        assert seconds(patience) < drain, "a web that is back must be used before the next one leaves"
    assert seconds(directive("proxy_connect_timeout")) > 1, "a closing web refuses a newcomer after one second"


def test_nginx_takes_what_gesso_takes() -> None:
    limit = float(directive("client_max_body_size").removesuffix("m")) * 2**20
    assert limit >= PRODUCTION.storage.max_upload_bytes + 2**20
    [ingress] = kind("Ingress")
    size = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert float(size.removesuffix("m")) * 2**20 == limit


def test_only_requests_that_honour_the_key_are_repeated() -> None:
    """By the application's own description: who takes the header may be asked twice, nobody else."""
    patterns = re.findall(r'^\s+"~(\^POST [^"]+)"\s+1;', NGINX, re.MULTILINE)
    assert len(patterns) == 2
    some_id = "0192aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
    for route in routes.router.routes:
        takes = any(field.alias == "Idempotency-Key" for field in route.dependant.header_params)  # type: ignore[attr-defined]
        path = re.sub(r"{\w+}", some_id, route.path)  # type: ignore[attr-defined]
        repeated = any(re.match(pattern, f"POST {path} a-key") for pattern in patterns)
        assert repeated == (takes and "POST" in route.methods), path  # type: ignore[attr-defined]
        assert not any(re.match(pattern, f"POST {path} ") for pattern in patterns), "without a key nothing is repeated"
    assert not any(re.match(pattern, "POST /api/media/uploads a-key") for pattern in patterns)


def test_a_kill_comes_only_after_the_grace() -> None:
    [settings] = kind("ConfigMap")
    told = {name: float(value) for name, value in settings["data"].items() if name.endswith("_SECONDS")}
    web, worker = (next(pod for pod in pods() if pod["containers"][0]["name"] == name) for name in ("web", "worker"))
    asleep = web["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = asleep + told["GESSO_WEB_DRAIN_SECONDS"] + told["GESSO_WEB_FINISH_SECONDS"] + 5
    assert web["terminationGracePeriodSeconds"] >= needed
    assert worker["terminationGracePeriodSeconds"] >= told["GESSO_WORKER_GRACE_SECONDS"] + HAND_OVER_SECONDS + 5
    grace = seconds(COMPOSE["services"]["web-1"]["stop_grace_period"])
    assert grace >= PRODUCTION.drain_seconds + PRODUCTION.web.finish_seconds + 5
    grace = seconds(COMPOSE["services"]["worker"]["stop_grace_period"])
    assert grace >= PRODUCTION.worker_grace_seconds + HAND_OVER_SECONDS + 5


def test_a_stopping_worker_may_wait_for_the_slowest_answer() -> None:
    [settings] = kind("ConfigMap")
    slowest = Shape().seconds
    assert min(float(settings["data"]["GESSO_WORKER_GRACE_SECONDS"]), PRODUCTION.worker_grace_seconds) > slowest


def test_pods_run_with_little_power_and_hear_no_strange_variables() -> None:
    for pod in pods():
        assert pod["enableServiceLinks"] is False, "a Service called gesso-web would set GESSO_WEB_… in every pod"
        assert pod["automountServiceAccountToken"] is False and pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]} and "memory" in container["resources"]["limits"]


def test_the_image_is_plain_and_holds_no_secret() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11-slim"}
    assert "://" not in re.sub(r"http://127\.0\.0\.1:8000", "", text)
    assert (
        re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001"] == [str(pods()[0]["securityContext"]["runAsUser"])]
    )
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (DEPLOY.parent / source).exists() and f"!{source}" in ignored, source
    assert not re.search(r"(SECRET|PASSWORD|TOKEN|_KEY)=", text)
    for name, value in yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())["stringData"].items():
        assert value == "" or "password@" in value, f"{name} looks like a real secret"
