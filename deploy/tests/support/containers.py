"""podman in a test: its storage and its limits are separate from those of the machine."""
from __future__ import annotations

import subprocess
from pathlib import Path

from .processes import ROOT, TOOLS

IMAGES = TOOLS / "image"
_STORAGE = ["--storage-driver", "vfs", "--root", str(IMAGES / "store"), "--runroot", str(IMAGES / "storerun")]
PODMAN = ["podman", *_STORAGE, "--runtime", "/usr/sbin/runc", "--cgroup-manager", "cgroupfs"]
BUILDAH = ["buildah", *_STORAGE]
# If a machine does not allow higher limits, podman's defaults cannot be set.
ULIMITS = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]


def run(*command: object, **options) -> str:
    """Returns the output of a command, which must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(*arguments: str) -> dict[str, str]:
    """Runs `deploy/image/build`, and returns the digest of each architecture."""
    lines = run(ROOT / "deploy/image/build", *arguments).splitlines()
    return dict(line.split() for line in lines)


def stand_in(name: str, folder: Path, programs: dict[str, str]) -> None:
    """Makes an image with Debian's builds of some programs, under the name of an image that cannot be pulled here.

    `programs` maps paths in the image to programs of this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    for path, program in programs.items():
        source = run("which", program).strip()
        linked = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        needed = [word for line in linked.splitlines() for word in line.split() if word.startswith("/")]
        for file, target in [(source, path), *((library, library) for library in needed)]:
            copy = folder / target.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(Path(file).resolve().read_bytes())
            copy.chmod(0o755)
    (folder / "Containerfile").write_text('FROM scratch\nCOPY . /\nENV PATH=/bin\nUSER 65532:65532\n')
    entry = folder / "Containerfile"
    if len(programs) == 1 and "prometheus" in name:
        entry.write_text(entry.read_text() + 'ENTRYPOINT ["/bin/prometheus"]\n')
    run(*BUILDAH, "bud", "--quiet", "--isolation", "chroot", "--tag", name, folder)
