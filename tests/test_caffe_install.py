"""`fcnkit caffe`, with an apt and a dpkg that are scripts of these tests: nothing is fetched."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.engines import caffe_install, caffe_runtime, debian
from fcnkit.errors import EngineError, OutputError

# Of the archive that apt has "fetched" dpkg makes a runtime whose loader starts nothing.
APT = """#!/bin/bash
archives=$(printf '%s\\n' "$@" | sed -n 's/^-oDir::Cache::archives=//p')
case "$*" in
    *\\ update) echo "E: no such mirror" ; exit $NO_MIRROR ;;
    *download-only*)
        fd=$(printf '%s\\n' "$@" | sed -n 's/^APT::Status-Fd=//p')
        for done in 0.0000 40.5000 100.0000; do
            eval "echo dlstatus:1:$done:Retrieving >&$fd"
        done
        sleep $SLEEP
        touch "$archives/one.deb" "$archives/two.deb"
        echo "E: no room" ; exit $NO_FETCH ;;
esac
"""
DPKG = """#!/bin/sh
[ "$1" = -x ] || exit 0
echo "dpkg: damaged" >&2; [ $NO_UNPACK = 0 ] || exit 2
mkdir -p "$3/lib/x86_64-linux-gnu" "$3/usr/bin"
printf '#!/bin/sh\\necho words >&2; exit %s\\n' $NO_START >"$3/lib/x86_64-linux-gnu/ld-2.31.so"
chmod 755 "$3/lib/x86_64-linux-gnu/ld-2.31.so"
"""
FINE = {"NO_MIRROR": "0", "NO_FETCH": "0", "NO_UNPACK": "0", "NO_START": "0", "SLEEP": "0"}


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """apt-get, apt-cache and dpkg are scripts; the folder to install into."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("apt-get", APT), ("apt-cache", "#!/bin/sh\n"), ("dpkg", DPKG)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name, value in FINE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv(debian.MIRROR, "http://mirror.example/debian")
    monkeypatch.setattr(debian, "obstacle", lambda: "")
    return tmp_path / "cache" / "caffe"


def run(*words):
    return CliRunner().invoke(main, ["caffe", *map(str, words)])


def test_a_whole_caffe_is_there_at_the_end(scripts):
    stages = list(caffe_install.install(scripts))
    assert [stage.done for stage in stages if "fetching" in stage.words] == [0, 40, 100]
    assert [stage.done for stage in stages if "unpacking" in stage.words] == [0, 1, 2]
    assert "http://mirror.example/debian" in stages[0].words
    assert caffe_install.whole(scripts) and os.listdir(scripts.parent) == ["caffe"]
    assert {*caffe_install.TOOLS, "python"} == set(os.listdir(scripts / "bin"))
    assert list(caffe_install.install(scripts)) == []


@pytest.mark.parametrize(
    "fails, words",
    [
        ("NO_MIRROR", "no mirror that apt knows has Debian 11.*FCNKIT_DEBIAN_MIRROR.*no such"),
        ("NO_FETCH", "cannot be fetched: E: no room"),
        ("NO_UNPACK", "one.deb cannot be unpacked: dpkg: damaged"),
        ("NO_START", "does not start: words"),
    ],
)
def test_what_fails_leaves_nothing(scripts, monkeypatch, fails, words):
    monkeypatch.setenv(fails, "3")
    with pytest.raises(EngineError, match=words):
        list(caffe_install.install(scripts))
    assert os.listdir(scripts.parent) == []


def test_a_program_reads_none_of_the_systems_settings(scripts, monkeypatch):
    list(caffe_install.install(scripts))
    loader = scripts / "lib" / "x86_64-linux-gnu" / "ld-2.31.so"
    loader.write_text('#!/bin/sh\nenv; echo "$@"\n')
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/cuda")
    monkeypatch.setenv("FCNKIT_PYTHONPATH", "/mine")
    said = subprocess.run([scripts / "bin" / "python", "-c", "x"], capture_output=True, text=True)
    lines = said.stdout.splitlines()
    assert f"MATPLOTLIBRC={scripts}/etc/matplotlibrc" in lines
    assert "LD_LIBRARY_PATH" not in said.stdout
    assert f"PYTHONPATH={scripts}/usr/lib/python3/dist-packages:/mine" in lines
    assert lines[-1].endswith(f"{scripts}/usr/bin/python3.9 -c x")


def test_matplotlibs_data_are_those_of_the_folder(scripts, monkeypatch):
    """Those in /usr/share are of the system's matplotlib, which Debian 11's may not read."""
    made = (
        'mkdir -p "$3/usr/share/matplotlib/mpl-data"\n'
        'mkdir -p "$3/usr/lib/python3/dist-packages/matplotlib"\n'
        'echo ours >"$3/usr/share/matplotlib/mpl-data/matplotlibrc"\n'
    )
    (scripts.parents[1] / "tools" / "dpkg").write_text(DPKG + made)
    list(caffe_install.install(scripts))
    data = scripts / "usr/lib/python3/dist-packages/matplotlib/mpl-data"
    assert (data / "matplotlibrc").read_text() == "ours\n"
    assert not os.path.isabs(os.readlink(data))


def test_what_is_left_early_leaves_nothing(scripts):
    stages = caffe_install.install(scripts)
    while "unpacking" not in next(stages).words:
        pass
    assert os.listdir(scripts.parent) != []
    stages.close()
    assert os.listdir(scripts.parent) == []


def test_a_process_that_is_asked_to_end_clears_away(scripts):
    words = [sys.executable, "-c", "from fcnkit.cli.main import run; run()", "caffe", "install"]
    environment = {**os.environ, "FCNKIT_CAFFE": str(scripts), "SLEEP": "30"}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while "fetching" not in process.stderr.readline():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert os.listdir(scripts.parent) == []


def test_another_that_came_first_is_as_good(scripts):
    for stage in caffe_install.install(scripts):
        if stage.words == "starting it":
            (scripts / "bin").mkdir(parents=True)
            (scripts / caffe_runtime.MARKER).touch()
    assert os.listdir(scripts.parent) == ["caffe"] and os.listdir(scripts / "bin") == []


def test_install_touches_no_folder_of_other_things(scripts):
    scripts.mkdir(parents=True)
    (scripts / "thesis.tex").touch()
    done = run("install", scripts)
    assert done.exit_code == 2 and "exists but does not hold a complete Caffe" in done.output
    assert os.listdir(scripts) == ["thesis.tex"]


def test_an_empty_folder_takes_it(scripts):
    scripts.mkdir(parents=True)
    list(caffe_install.install(scripts))
    assert caffe_install.whole(scripts)


def test_a_disk_without_room_is_seen_first(scripts, monkeypatch):
    monkeypatch.setattr(caffe_install, "NEEDED", 1 << 60)
    with pytest.raises(OutputError, match="MB of room, and this takes"):
        list(caffe_install.install(scripts))


@pytest.mark.parametrize(
    "platform, machine, missing, words",
    [
        ("win32", "AMD64", "", "this system is"),
        ("darwin", "arm64", "", "this system is"),
        ("linux", "aarch64", "", "this processor is aarch64"),
        ("linux", "x86_64", "apt-get", "there is no apt-get here"),
        ("linux", "x86_64", "dpkg", "there is no dpkg here"),
    ],
)
def test_elsewhere_it_says_why_and_what_does_its_work(
    tmp_path, monkeypatch, platform, machine, missing, words
):
    monkeypatch.setattr(debian.sys, "platform", platform)
    monkeypatch.setattr(debian.platform, "machine", lambda: machine)
    monkeypatch.setattr(debian.shutil, "which", lambda name: None if name == missing else name)
    monkeypatch.setenv("FCNKIT_CAFFE", str(tmp_path / "caffe"))
    done = run("install")
    assert done.exit_code == 2 and words in done.output and "fcnkit[torch]" in done.output
    assert not (tmp_path / "caffe").exists()
    done = run("where")
    assert done.exit_code == 1 and words in done.output and "fcnkit[torch]" in done.output


# ---- where and remove


def test_where(scripts, monkeypatch):
    monkeypatch.setenv("FCNKIT_CAFFE", str(scripts))
    done = run("where")
    assert done.exit_code == 1 and "`fcnkit caffe install`" in done.output
    assert run("install").exit_code == 0
    assert run("where").output == f"{scripts}\n"
    assert run("install").output == f"Caffe is in {scripts}\n"


def test_another_folder_is_used_while_it_is_named(scripts, monkeypatch):
    monkeypatch.setenv("FCNKIT_CAFFE", str(scripts.parent / "other"))
    assert f"export FCNKIT_CAFFE={scripts}" in run("install", scripts).output


def test_remove(scripts, monkeypatch):
    monkeypatch.setenv("FCNKIT_CAFFE", str(scripts))
    list(caffe_install.install(scripts))
    assert run("remove").output == f"removed {scripts}\n"
    assert not scripts.exists() and run("remove").output == f"there is no Caffe in {scripts}\n"
    scripts.mkdir()
    (scripts / "thesis.tex").touch()
    done = run("remove")
    assert done.exit_code == 2 and "holds no Caffe that fcnkit has installed" in done.output
    assert (scripts / "thesis.tex").exists()


def test_remove_through_a_link(scripts):
    list(caffe_install.install(scripts))
    link = scripts.with_name("link")
    link.symlink_to(scripts)
    assert caffe_install.remove(link) and os.listdir(scripts.parent) == []


# ---- which mirrors

SOURCES = {
    "sources.list": "# deb http://no/debian x main\n"
    "deb [arch=amd64 signed-by=/k] http://a/ubuntu/ x\n"
    "deb-src http://no/debian x main\ndeb cdrom:[disc]/ x main\n",
    "sources.list.d/b.list": "  deb\thttp://security.b/debian-security x\ndeb http://b/debian x\n",
    "sources.list.d/c.sources": "Types: deb\n# URIs: http://no/debian\nURIs: http://c/debian/\n"
    "  http://d/debian\nSuites: x\n\nTypes: deb-src\nURIs: http://no/debian\n"
    "\nTypes: deb\nURIs: http://no/debian\nEnabled: no\n\nenabled: yes\ntypes: deb\nuris: http://a/ubuntu",
}


def test_mirrors_that_apt_knows_debians_first(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    known, public = debian.mirrors(tmp_path, {})[:-2], debian.mirrors(tmp_path, {})[-2:]
    assert known == ["http://c/debian", "http://d/debian", "http://b/debian", "http://a/ubuntu"]
    assert public == ["http://deb.debian.org/debian", "http://archive.debian.org/debian"]
    assert debian.mirrors(tmp_path, {debian.MIRROR: "http://mine/"}) == ["http://mine"]
    assert debian.mirrors(Path("/nowhere"), {}) == public


def test_without_debians_keys_it_says_what_brings_them(scripts, monkeypatch):
    """The system's own mirror, of Ubuntu, has no such suite, and the public one is not trusted."""
    monkeypatch.setattr(debian, "KEYRINGS", ())
    monkeypatch.setenv("NO_MIRROR", "100")
    monkeypatch.delenv(debian.MIRROR)
    monkeypatch.setattr(debian, "_classic", lambda folder: ["http://mirror.example/ubuntu"])
    apt_get = scripts.parents[1] / "tools" / "apt-get"
    said = 'grep -q ubuntu "$sources" || echo "W: NO_PUBKEY 0E98404D"'
    sources = "sources=$(printf '%s\\n' \"$@\" | sed -n 's/^-oDir::Etc::sourcelist=//p')"
    apt_get.write_text(APT.replace('echo "E: no such mirror"', f"{sources}; {said}; echo E: none"))
    with pytest.raises(EngineError, match="apt-get install debian-archive-keyring"):
        list(caffe_install.install(scripts))
