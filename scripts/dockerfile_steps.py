"""Takes the steps of a Dockerfile in a folder that holds a system, where no Docker runs.

    sudo debootstrap --variant=minbase trixie ROOT http://deb.debian.org/debian
    sudo python3 scripts/dockerfile_steps.py ROOT

It knows what fcnkit's own Dockerfile uses: FROM, which must be what ROOT holds, RUN, COPY of the
whole checkout by .dockerignore, ENV, WORKDIR and ENTRYPOINT, which it asks for its version.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# What Debian's images add to a system: nothing that apt fetches is kept.
CLEAN = """DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
"""
# The mounts are of this one process, and go with it.
MOUNTED = """set -e
for each in proc sys dev; do mount --rbind "/$each" "$1/$each"; done
exec chroot "$@"
"""


def steps(text: str) -> Iterator[tuple[str, str]]:
    """(instruction, its words) of a Dockerfile, lines that go on as one."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, words = line.partition(" ")
        yield name.upper(), words.strip()


def copied(folder: Path) -> list[str]:
    """The files and folders that .dockerignore lets through: those behind a "!"."""
    lines = (folder / ".dockerignore").read_text().split()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


class System:
    """A folder that holds a system, the environment of what is run in it, and where."""

    def __init__(self, root: Path) -> None:
        self.root, self.environment, self.folder = root, {**os.environ, "HOME": "/root"}, "/"
        self.environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def take(self, name: str, words: str) -> None:
        """One step is done; SystemExit where it fails."""
        if name == "FROM":
            release = (self.root / "etc/os-release").read_text()
            if re.split(r"[:-]", words)[1] not in release:
                sys.exit(f"{self.root}: is not {words}")
        elif name == "RUN":
            self.run(["sh", "-c", f"cd {self.folder} && {words}"])
        elif name == "COPY":
            target = self.root / words.split()[1].lstrip("/")
            for each in copied(CHECKOUT):
                self._copy(CHECKOUT / each, target / each)
        elif name == "ENV":
            self.environment.update([words.split("=", 1)])
        elif name == "WORKDIR":
            (self.root / words.lstrip("/")).mkdir(parents=True, exist_ok=True)
            self.folder = words
        elif name == "ENTRYPOINT":
            self.run([*json.loads(words), "--version"])
        else:
            sys.exit(f"{name}: is no step that is known here")

    def run(self, words: list[str]) -> None:
        """The words are run in the system, with /proc, /sys and /dev as in a container."""
        within = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(self.root), *words]
        done = subprocess.run(within, env=self.environment, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: status {done.returncode}")

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def main(root: Path) -> None:
    """All steps are taken, each with its time."""
    (root / "etc/apt/apt.conf.d/docker-clean").write_text(CLEAN)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    system = System(root)
    for name, words in steps((CHECKOUT / "Dockerfile").read_text()):
        print(f"--- {name} {words[:90]}", flush=True)
        begun = time.monotonic()
        system.take(name, words)
        print(f"--- {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
