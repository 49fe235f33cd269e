"""Tests the image: its content, that each build gives the same one, and that it runs without any right."""
from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import RedirectServiceStub, channel, redirect_request
from support.containers import IMAGES, PODMAN, ULIMITS, build, run
from support.processes import ROOT, Program, free_port, get, wait_for

NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
IMAGE = f"localhost/aa-redirect:{NATIVE}"


@pytest.fixture(scope="module")
def digest() -> str:
    """Builds the image of this machine's architecture, quickly, and loads it."""
    return build("--quick", NATIVE)[NATIVE]


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A folder as kubelet mounts a projected volume. `..data` is a link to a dated folder, each file is a link into
    `..data`, and the files have mode 0440, of root and the pod's group."""
    folder, data = tmp_path / "etc", tmp_path / "etc" / "..2026_11_28_00_00_00.000000001"
    data.mkdir(parents=True)
    source = ROOT / "sandbox"
    names = ["keyring.toml", *(f"secrets/{path.name}" for path in (source / "secrets").iterdir())]
    (folder / "secrets").mkdir()
    (data / "secrets").mkdir()
    for name in names:
        shutil.copyfile(source / name, data / name)
        data.joinpath(name).chmod(0o440)
        os.chown(data / name, 0, 65532)
        up = "../" * name.count("/")
        (folder / name).symlink_to(f"{up}..data/{name}")
    (folder / "..data").symlink_to(data.name)
    return folder


@pytest.fixture
def container(digest: str, mounted: Path) -> Iterator[tuple[Program, str, str, str]]:
    """The service in podman: UID 65532, no capability, a read-only root and no new rights."""
    name, calls, admin = f"aa-redirect-{os.getpid()}", f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [
        *PODMAN, "run", "--rm", "--name", name, "--network", "host", "--user", "65532:65532", "--cap-drop", "all",
        "--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false", *ULIMITS,
        "--volume", f"{mounted}:/etc/aa-redirect:ro", IMAGE,
        "--listen", calls, "--admin-listen", admin, "--keyring", "/etc/aa-redirect/keyring.toml", "--drain-delay", "1",
    ]
    with Program(command) as program:
        wait_for("the container serves", lambda: program.check_alive() or get(f"http://{admin}/readyz")[0] == 200)
        yield program, calls, admin, name
    subprocess.run([*PODMAN, "rm", "--force", name], capture_output=True, check=False)


def encode(address: str) -> str:
    with channel(address) as opened:
        return RedirectServiceStub(opened).EncodeRedirect(redirect_request(), timeout=10).url


def test_it_serves_without_rights_and_ends_with_0_after_its_drain(container: tuple) -> None:
    program, calls, admin, name = container
    assert encode(calls).startswith("https://alpha.example/")
    assert "aa_redirect_build_info" in get(f"http://{admin}/metrics")[1]
    pid = json.loads(run(*PODMAN, "inspect", name))[0]["State"]["Pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    assert fields["Uid"].split() == ["65532"] * 4
    assert fields["NoNewPrivs"].strip() == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[kind], 16) == 0, kind
    run(*PODMAN, "kill", "--signal", "TERM", name)
    assert program.process.wait(30) == 0


def test_a_secret_that_kubelet_swaps_is_served_without_a_restart(container: tuple, mounted: Path) -> None:
    _, calls, admin, _ = container
    data = mounted / "..2026_11_28_00_01_00.000000002"
    shutil.copytree((mounted / "..data").resolve(), data)
    for path in data.rglob("*"):
        os.chown(path, 0, 65532)
    keyring = (data / "keyring.toml").read_text()
    (data / "keyring.toml").chmod(0o640)
    (data / "keyring.toml").write_text(keyring.replace("https://alpha.example/webview", "https://new.example/webview"))
    (mounted / "..data_tmp").symlink_to(data.name)
    (mounted / "..data_tmp").rename(mounted / "..data")
    applied = 'aa_redirect_reloads_total{source="keyring",outcome="applied"} 1'
    wait_for("the keyring is loaded anew", lambda: applied in get(f"http://{admin}/metrics")[1])
    assert encode(calls).startswith("https://new.example/")


def test_it_holds_the_program_its_bill_of_materials_and_nothing_else(digest: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree.tar"
    made = run(*PODMAN, "create", IMAGE).strip()
    run(*PODMAN, "export", "--output", tree, made)
    run(*PODMAN, "rm", made)
    with tarfile.open(tree) as files:
        kept = {entry.name for entry in files if entry.isfile() and entry.size}
        sbom = json.load(files.extractfile("usr/share/aa-redirect/sbom.json"))
        program = files.extractfile("aa-redirect").read()
    assert kept == {"aa-redirect", "usr/share/aa-redirect/sbom.json"}
    assert sbom["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in sbom["components"]}
    assert {"tonic", "rustls", "aes"} <= names
    assert str(ROOT) not in json.dumps(sbom), "the bill of materials names the folder in which it was made"
    assert str(ROOT).encode() not in program, "the program names the folder in which it was built"
    config = json.loads(run(*PODMAN, "inspect", IMAGE))[0]
    assert config["User"] == "65532:65532"
    assert config.get("HealthCheck") is None and config.get("Healthcheck") is None
    assert config["Architecture"] == NATIVE


def test_the_same_program_gives_the_same_digest_again(digest: str) -> None:
    assert build("--quick", NATIVE)[NATIVE] == digest


def test_it_runs_without_proc(digest: str, mounted: Path, tmp_path: Path) -> None:
    """Container runtimes need /proc themselves, so this test uses chroot alone, without rights too."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    shutil.copy(IMAGES / NATIVE / "aa-redirect", root / "aa-redirect")
    mounted.rename(root / "etc" / "aa-redirect")
    root.chmod(0o755)
    calls, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    libc = ctypes.CDLL(None)

    def confine() -> None:
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(65532)
        os.setuid(65532)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS

    command = ["/aa-redirect", "--listen", calls, "--admin-listen", admin, "--keyring", "/etc/aa-redirect/keyring.toml"]
    with Program(command, preexec_fn=confine) as program:
        wait_for("it serves", lambda: program.check_alive() or get(f"http://{admin}/readyz")[0] == 200)
        assert encode(calls).startswith("https://alpha.example/")
        page = get(f"http://{admin}/metrics")[1]
        assert "process_cpu_seconds_total" in page
        assert "process_resident_memory_bytes" not in page, "there was a /proc"
        assert program.stop(signal.SIGTERM) == 0


@pytest.fixture(scope="module")
def whole_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Builds the images of both architectures twice, each time from another checkout."""
    folder = tmp_path_factory.mktemp("whole")
    checkouts = [folder / "one", folder / "another"]
    for checkout in checkouts:
        run("git", "clone", "--quiet", ROOT, checkout)
        environment = {**os.environ, "TOOLS": str(ROOT / "target/deploy/venv")}
        run(checkout / "deploy/image/build", "amd64", "arm64", env=environment)
    yield [checkout / "target/deploy/image" for checkout in checkouts]
    shutil.rmtree(folder)  # gigabytes


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_whole_builds_in_two_folders_give_one_digest(whole_builds: list[Path], architecture: str) -> None:
    one, another = [(images / architecture / "digest").read_text() for images in whole_builds]
    assert one.startswith("sha256:")
    assert one == another
    print(architecture, one)


@pytest.mark.slow
def test_the_arm64_program_runs(whole_builds: list[Path]) -> None:
    program = whole_builds[0] / "arm64" / "aa-redirect"
    emulated = [] if NATIVE == "arm64" else ["qemu-aarch64"]
    assert "aa-redirect 0" in run(*emulated, program, "--version")
    assert len(run(*emulated, program, "keygen").strip()) == 32
    port = free_port()
    with Program([*emulated, program, "--listen", f"127.0.0.1:{port}"]) as running:
        wait_for("it serves", lambda: running.check_alive() or any("serving" in line for line in running.lines))
        assert encode(f"127.0.0.1:{port}").startswith("https://alpha.example/")
        assert running.stop(signal.SIGTERM) == 0
