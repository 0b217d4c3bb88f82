"""How the stored notebooks look in JupyterLab, light and dark; `make looks` runs it.

JupyterLab opens each in headless Chromium, as somebody does who has just got it: nothing in it is
trusted, and nothing runs.  No picture may be missing, no text too near to its ground in colour, and
nothing wider than the notebook.  Screenshots are left in build/notebooks.

    python scripts/notebooks_seen.py [NOTEBOOK ...]
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat

from notebooks import paths

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from chromium import Browser, Page, program  # noqa: E402

OUT = Path("build/notebooks")
WIDTH, HEIGHT = 1300, 14000
LEAST_CONTRAST = 3.5
"""Between text and its ground; on both grounds at once none can have much more than 4.5."""
SECONDS = 180
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

# What is wrong with a page, as a list of texts.
LOOK = """(least => {
  const numbers = colour => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, below) => {
    const alpha = top[3] === undefined ? 1 : top[3];
    return [0, 1, 2].map(k => top[k] * alpha + below[k] * (1 - alpha));
  };
  const ground = element => {
    if (!element) return [255, 255, 255];
    const own = numbers(getComputedStyle(element).backgroundColor);
    return own[3] === 0 ? ground(element.parentElement) : over(own, ground(element.parentElement));
  };
  const light = colour => {
    const parts = colour.slice(0, 3).map(value => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const contrast = element => {
    const below = ground(element);
    const ink = over(numbers(getComputedStyle(element).color), below);
    const [high, low] = [light(ink), light(below)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const wrong = [];
  document.querySelectorAll('details').forEach(each => { each.open = true; });
  for (const image of document.querySelectorAll('.jp-OutputArea-output img'))
    if (!image.complete || image.naturalWidth < 2) wrong.push('a picture is missing: ' + image.alt);
  for (const output of document.querySelectorAll('.jp-OutputArea-output')) {
    const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const said = texts.currentNode.textContent.trim(), holder = texts.currentNode.parentElement;
      if (!said || holder.closest('svg, script, style, .MathJax, mjx-container')) continue;
      const found = contrast(holder);
      const words = ' between ground and "' + said.slice(0, 40) + '"';
      if (found < least) wrong.push(found.toFixed(1) + words);
    }
  }
  for (const output of document.querySelectorAll('.jp-OutputArea-output'))
    if (output.scrollWidth > output.clientWidth + 1 && !output.querySelector('table, pre'))
      wrong.push('an output is ' + output.scrollWidth + ' wide, for ' + output.clientWidth);
  return wrong;
})(%s)"""

READY = """(count => document.querySelectorAll('.jp-NotebookPanel .jp-Cell').length === count
  && document.querySelectorAll('.jp-OutputArea-output').length > 0
  && !document.querySelector('#jupyterlab-splash'))(%d)"""


def pictures(notebook: nbformat.NotebookNode) -> int:
    """How many outputs of a notebook are pictures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    data = [output.get("data", {}) for output in outputs]
    return sum("image/png" in each or "<img" in each.get("text/html", "") for each in data)


def settings(folder: Path, theme: str) -> None:
    """JupyterLab's own settings: this theme, all cells drawn, no news."""
    for name, values in {
        "apputils-extension/themes": {"theme": theme},
        "apputils-extension/notification": {"fetchNews": "false"},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        file = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")


@contextmanager
def lab(folder: Path, theme: str):
    """A JupyterLab whose files are these, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / "home"
    settings(home / "settings", theme)
    places = {
        "HOME": home,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
    }
    places |= {"JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTER_RUNTIME_DIR": home / "run"}
    places |= {"JUPYTERLAB_WORKSPACES_DIR": home / "workspaces"}
    words = "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--IdentityProvider.token="
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *words, f"--ServerApp.root_dir={folder / 'books'}"],
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL},
        env={**os.environ, **{name: str(place) for name, place in places.items()}},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/api/status"), "JupyterLab did not start")
        yield address
    finally:
        server.terminate()
        server.wait()


def answers(address: str) -> bool:
    """Whether there is a server."""
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(done, otherwise: str) -> None:
    """Waits; ends the program where it takes too long."""
    end = time.monotonic() + SECONDS
    while not done():
        if time.monotonic() > end:
            sys.exit(f"{otherwise} in {SECONDS} seconds")
        time.sleep(0.5)


def look(browser: Browser, address: str, notebook: Path, picture: Path) -> list[str]:
    """What is wrong with a notebook, of which a screenshot is kept."""
    book = nbformat.read(notebook, as_version=4)
    browser.ask(
        "Emulation.setDeviceMetricsOverride",
        **{"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.ask("Page.navigate", url=f"{address}/doc/tree/{notebook.name}")
    page = Page(browser)
    until(lambda: page.js(READY % len(book.cells)), f"{notebook.name} was not open")
    time.sleep(3)  # the pictures, and what is typeset
    wrong = page.js(LOOK % LEAST_CONTRAST)
    found, needed = page.count(".jp-OutputArea-output :is(img, svg)"), pictures(book)
    page.screenshot(picture)
    browser.ask("Page.navigate", url="about:blank")
    return [*wrong, *([f"{found} pictures of {needed}"] if found < needed else [])]


def main() -> None:
    """Looks at the notebooks that are named, or at all; ends with 1 where something is wrong."""
    if not program():
        sys.exit("no Chromium here: make chromium")
    OUT.mkdir(parents=True, exist_ok=True)
    chosen, faults = [Path(name) for name in sys.argv[1:]] or paths(), 0
    for name, theme in THEMES.items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            books = Path(folder, "books")
            books.mkdir()
            for path in chosen:
                shutil.copy(path, books)
            browser = Browser(Path(folder, "chromium"))
            with lab(Path(folder), theme) as address:
                for path in chosen:
                    wrong = look(browser, address, path, OUT / f"{path.stem}-{name}.png")
                    faults += len(wrong)
                    print(f"{path.stem}, {name}: {len(wrong)} faults", *wrong, sep="\n  ")
            browser.close()
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
