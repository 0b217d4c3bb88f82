"""Packages of Debian 11 "bullseye", the last Debian that has Caffe, fetched by an apt of its own.

Everything that this apt knows is in one folder: no root is needed, and the system's own packages,
lists and settings stay as they are.  What comes is signed, and apt checks it.
"""

import getpass
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fcnkit.errors import EngineError

SUITE = "bullseye"
MIRROR = "FCNKIT_DEBIAN_MIRROR"
SOURCES = Path("/etc/apt")
KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp")
)
# Where Debian's releases are, and where they are once they are no longer kept up; for a system
# such as Ubuntu, whose own mirrors have none of Debian's.
_PUBLIC = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
_PROGRAMS = ("apt-get", "apt-cache", "dpkg")


def obstacle() -> str:
    """Why this machine takes no packages of Debian; "" where it does."""
    machine = platform.machine().lower()
    if sys.platform != "linux":
        return f"this system is {platform.system() or sys.platform}"
    if machine not in ("x86_64", "amd64"):
        return f"this processor is {machine or 'not known'}"
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    return f"there is no {missing[0]} here" if missing else ""


# ---- where packages may be


def mirrors(folder: Path = SOURCES, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The mirrors to ask, each once: the one that FCNKIT_DEBIAN_MIRROR names, or else those that
    apt knows, with Debian's own archive first, and the public ones.
    """
    if environment.get(MIRROR):
        return [environment[MIRROR].rstrip("/")]
    known = [address.rstrip("/") for address in (*_deb822(folder), *_classic(folder))]
    known = [each for each in known if not each.startswith("cdrom:") and "security" not in each]
    known.sort(key=lambda address: "debian" not in address)
    return list(dict.fromkeys([*known, *_PUBLIC]))


def _deb822(folder: Path) -> Iterator[str]:
    """Addresses of the enabled "deb" stanzas of *.sources; a value may go on in indented lines."""
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        text = re.sub(r"^#.*\n?", "", _text(file), flags=re.M)
        for stanza in re.split(r"\n[ \t]*\n", text):
            found = re.findall(r"^([^\s:]+):((?:.|\n[ \t])*)", stanza, re.M)
            fields = {name.lower(): value.split() for name, value in found}
            off = {"no", "false"} & {word.lower() for word in fields.get("enabled", ())}
            if "deb" in fields.get("types", ()) and not off:
                yield from fields.get("uris", ())


def _classic(folder: Path) -> Iterator[str]:
    """Addresses of lines such as: deb [options] ADDRESS suite component."""
    lists = sorted((folder / "sources.list.d").glob("*.list"))
    for file in (folder / "sources.list", *lists):
        yield from re.findall(r"^[ \t]*deb[ \t]+(?:\[[^]\n]*\][ \t]*)?(\S+)", _text(file), re.M)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# ---- the private apt


class Apt:
    """An apt whose lists, archives and settings are all in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for each in ("lists/partial", "cache/archives/partial", "log"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()

    @property
    def archives(self) -> Path:
        """The folder of what was fetched."""
        return self.folder / "cache" / "archives"

    def find_suite(self, package: str, *, kind: str = "deb") -> Iterator[str]:
        """Each mirror, before it is asked; the last one has this package, or with kind "deb-src"
        its source, and is asked from now on.

        Raises EngineError with apt's last words where none has it.
        """
        show = "show" if kind == "deb" else "showsrc"
        said = []
        for mirror in mirrors():
            yield mirror
            source = f"{kind} {_signed_by()}{mirror} {SUITE} main\n"
            (self.folder / "sources.list").write_text(source, encoding="utf-8")
            done = self._run("apt-get", "update")
            if not done.returncode and not self._run("apt-cache", show, package).returncode:
                return
            said.append(done.stdout)
        raise EngineError(f"Caffe: no mirror that apt knows has Debian 11 ({SUITE}); {_way(said)}")

    def fetch(self, packages: Sequence[str]) -> Iterator[float]:
        """How much is here, in percent, of the archives of these packages and all that they need.

        Raises EngineError with apt's last words where they cannot be fetched.
        """
        read, write = os.pipe()
        status = ("-o", f"APT::Status-Fd={write}")
        words = self._words("apt-get", *status, "install", "-y", "--download-only", *packages)
        log = self.folder / "log" / "fetch"
        with open(log, "wb") as out, open(read, encoding="utf-8", errors="replace") as lines:
            process = subprocess.Popen(words, pass_fds=(write,), stdout=out, stderr=out)
            os.close(write)
            try:
                for line in lines:
                    share = re.match(r"dlstatus:[^:]*:([\d.]+):", line)
                    if share:
                        yield float(share[1])
            except BaseException:
                process.terminate()
                raise
            finally:
                process.wait()
        if process.returncode:
            raise EngineError(f"Caffe: its packages cannot be fetched: {_last(_text(log))}")

    def fetch_source(self, package: str, folder: Path) -> None:
        """The source of a package is unpacked in this folder; raises as `fetch` does."""
        done = self._run("apt-get", "source", package, cwd=folder)
        if done.returncode:
            raise EngineError(f"Caffe: its source cannot be fetched: {_last(done.stdout)}")

    def _run(
        self, program: str, *words: str, cwd: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._words(program, *words),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )

    def _words(self, program: str, *words: str) -> list[str]:
        own = {
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::State::extended_states": self.folder / "extended_states",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::archives": self.archives,
            "Dir::Log": self.folder / "log",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
        }
        options = {**{name: os.path.abspath(place) for name, place in own.items()}, **_SETTINGS}
        options["APT::Sandbox::User"] = getpass.getuser()
        return [program, "-q", *(f"-o{name}={value}" for name, value in options.items()), *words]


_SETTINGS = {
    "Dir::Etc::sourceparts": "-",
    "Dir::Etc::preferences": "-",
    "Dir::Etc::preferencesparts": "-",
    "APT::Install-Recommends": "false",
    "APT::Install-Suggests": "false",
    "APT::Default-Release": "",
    "APT::Update::Error-Mode": "any",
    "APT::Get::List-Cleanup": "false",
    "Acquire::http::Timeout": "30",
    "Debug::NoLocking": "true",
}


def _signed_by() -> str:
    """The keys that bullseye is signed with, where they are not among apt's trusted ones."""
    found = [keyring for keyring in KEYRINGS if os.path.exists(keyring)]
    return f"[signed-by={found[0]}] " if found else ""


def _way(said: Sequence[str]) -> str:
    """What to do, by what apt said of each mirror."""
    if not _signed_by() and any(re.search(r"NO_PUBKEY|not signed", each) for each in said):
        return "apt has no keys of Debian: `sudo apt-get install debian-archive-keyring`"
    words = _last(said[0]) if said else ""
    return f"name one that has it in {MIRROR}{f' (apt said: {words})' if words else ''}"


def _last(log: str) -> str:
    """The last lines of a log that say something, as one; apt's errors where there are some."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return " | ".join((errors or lines)[-2:])
