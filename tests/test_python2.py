"""Scripts of Python 2: what they are taken for, what they become, what they compute."""

import operator
import os
import random
import re
import subprocess
import sys
import unittest

import pytest
from click.testing import CliRunner
from python2_scripts import PRINTS

from fcnkit.cli.main import main
from fcnkit.pycaffe.python2 import convert, names
from fcnkit.pycaffe.python2.signs import Age, age

pytest.importorskip("fissix")


def run(folder, text, *words, name="s.py", **options):
    (folder / name).write_bytes(text.encode("latin-1"))
    code = "from fcnkit.cli.main import run; run()"
    command = [sys.executable, "-c", code, "run", *words, name]
    environment = {**os.environ, **options}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def within(monkeypatch, folder, text, *words):
    """The script run in this process."""
    (folder / "s.py").write_bytes(text.encode("latin-1"))
    monkeypatch.chdir(folder)
    return CliRunner().invoke(main, ["run", *words, "s.py"])


@pytest.mark.parametrize("text, printed", PRINTS.values(), ids=PRINTS)
def test_what_it_prints(text, printed, tmp_path, monkeypatch):
    done = within(monkeypatch, tmp_path, text)
    assert done.exception is None, done.stderr + repr(done.exception)
    assert done.stdout.strip() == printed
    assert done.stderr.startswith("fcnkit: s.py is Python 2: runs converted")
    assert done.stderr.count("\n") == 1


def test_sums_of_whole_numbers_and_floats(tmp_path, monkeypatch):
    """Random sums, beside what they are where / of two whole numbers is //."""
    chance = random.Random(0)
    sums = [made(chance, 4) for _ in range(300)]
    script = "print '2'\n" + "".join(f"print(repr({text}))\n" for text, _ in sums)
    done = within(monkeypatch, tmp_path, script)
    assert done.exception is None, repr(done.exception)
    assert done.stdout.split()[1:] == [repr(value) for _, value in sums]


def made(chance, deep):
    """A sum as text, and its value in Python 2."""
    if deep == 0 or chance.random() < 0.2:
        value = chance.choice([1, 2, 3, 7, 2.0, 0.5])
        return repr(value), value
    sign = chance.choice(["+", "-", "*", "/", "/", "/"])
    (left, one), (right, other) = made(chance, deep - 1), made(chance, deep - 1)
    if sign == "/" and other == 0:
        sign = "+"
    whole = sign == "/" and isinstance(one, int) and isinstance(other, int)
    work = operator.floordiv if whole else _SIGNS[sign]
    # A chain needs no brackets on its left.
    chain = sign in "*/" and re.fullmatch(r"[\d.]+( [*/] [\d.]+)*", left)
    left = left if chain else f"({left})"
    right = right if re.fullmatch(r"[\d.]+", right) else f"({right})"
    return f"{left} {sign} {right}", work(one, other)


_SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
TODAYS = [
    "print(5 / 2)",
    "import numpy as np\nprint(np.float64(1) / 2)",
    "try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle\nprint(5 / 2)",
    "import sys\nif sys.version_info[0] == 2:\n    range = xrange\nprint(5 / 2)",
    "def unicode(x): return x\nprint(unicode(5) / 2)",
    "n = 5\nprint(f'{n / 2}', xrange if n == 0 else 1)",
    "import six\nprint(list(six.iteritems({1: 2})))",
    "print(range(9)[2] / 4, len(range(3)))",
    "print(dict(a=1).keys())",
    "import codecs\nprint(codecs.encode(b'a', 'hex'), 5 / 2)",
    "def find(string):\n    return string.find('a') / 2\nprint(find('xxxxxa'))",
    "try:\n    from urllib import urlencode\nexcept ImportError:\n    from urllib.parse import *\n"
    "print(5 / 2)",
]


@pytest.mark.parametrize("text", TODAYS)
def test_a_script_of_today_runs_as_it_stands(text, tmp_path, monkeypatch):
    done = within(monkeypatch, tmp_path, text)
    assert done.exception is None
    assert done.stderr == ""
    assert "2.5" in done.stdout or "5 / 2" not in text


OLD = [
    "for i in xrange(3): pass",
    "x = raw_input()",
    "import urllib2",
    "from StringIO import StringIO",
    "from itertools import izip",
    "d.has_key(1)",
    "x = d.keys()[0]",
    "x = zip(a, b)[0]",
    "n = len(filter(f, x))",
    "x = range(3) + [4]",
    "import string\nstring.join(a)",
    "from string import letters",
    "import md5",
    "s.encode('hex')",
    "sorted(a, cmp=f)",
    "a.sort(cmp=f)",
    "from urllib import urlretrieve",
    "import urllib\nurllib.urlencode(a)",
    "import types\ntypes.StringType",
    "import os\nos.path.walk(a, b, c)",
    "import sys\nsys.maxint",
    "import itertools\nitertools.ifilter(None, a)",
    "print 'x'",
    "#!/usr/bin/env python2.7\nx = 5 / 2",
]


@pytest.mark.parametrize("text", OLD)
def test_what_shows_python_2(text):
    assert age(text) is Age.TWO


def test_what_shows_nothing():
    assert age("import caffe\nprint(5 / 2)") is Age.EITHER
    assert age("async def f(): pass\nxrange") is Age.THREE
    assert age("def f(a: int): return xrange(a)") is Age.THREE


def test_the_option_python2(tmp_path, monkeypatch):
    assert within(monkeypatch, tmp_path, "print(5 / 2)").stdout == "2.5\n"
    done = within(monkeypatch, tmp_path, "print(5 / 2)", "--python2")
    assert done.stdout == "2\n"
    assert done.stderr.endswith("runs converted; 1 division floors whole numbers as there\n")


def test_names_that_numpy_dropped(tmp_path, monkeypatch):
    text = (
        "import numpy as np, numpy\nx = np.array([1.5], np.float).astype(np.int)\n"
        "print(x.tostring(), numpy.product([2, 3]), np.asscalar(x), 5 / 2, 'np.int')\n"
        "print(np.fromstring(b'ab', dtype=np.uint8), np.float32(1), np.Inf)\n"
    )
    done = within(monkeypatch, tmp_path, text)
    assert done.exception is None, repr(done.exception)
    assert done.stdout.startswith(
        f"{(1).to_bytes(8, sys.byteorder)} 6 1 2.5 np.int\n[97 98] 1.0 inf"
    )
    assert done.stderr.startswith("fcnkit: s.py names that NumPy dropped are replaced: np.")
    assert "Python 2" not in done.stderr


def test_modules_beside_the_script_are_converted_too(tmp_path):
    (tmp_path / "helper.py").write_text("def half(n):\n    return n / 2\n")
    (tmp_path / "old.py").write_text("import helper\nprint helper.half(5), helper.__file__[-9:]\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("import inner\n")
    (tmp_path / "pack" / "inner.py").write_text("print 'inner', 3/2\n")
    done = run(tmp_path, "import old, pack\nprint(3 / 2)\n")
    assert done.stdout.splitlines() == ["2 helper.py", "inner 1", "1"], done.stderr
    told = [line.split()[1] for line in done.stderr.splitlines()]
    assert told == ["s.py", "old.py", "helper.py", "pack/__init__.py", "pack/inner.py"]
    assert (tmp_path / "old.py").read_text().startswith("import helper\nprint helper")


def test_modules_of_pythonpath_and_of_folders_that_the_script_adds(tmp_path):
    for folder, name in (("lib", "far"), ("added", "near")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(f"print '{name}', 3/2\n")
    text = "import sys\nsys.path.append('added')\nimport far, near\n"
    done = run(tmp_path, text, PYTHONPATH=str(tmp_path / "lib"))
    assert done.stdout == "far 1\nnear 1\n", done.stderr


def test_installed_modules_are_left_alone(tmp_path):
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "installed.py").write_text("half = 5 / 2\n")
    done = run(tmp_path, "import installed\nprint installed.half\n", PYTHONPATH=str(place))
    assert done.stdout == "2.5\n", done.stderr


def test_a_module_is_run_by_its_name(tmp_path):
    (tmp_path / "tool.py").write_text("import sys\nprint sys.argv[1:], 3/2\n")
    words = [
        sys.executable,
        "-c",
        "from fcnkit.cli.main import run; run()",
        "run",
        "-m",
        "tool",
        "a",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "['a'] 1\n", done.stderr


def test_tracebacks_name_the_scripts_own_lines(tmp_path):
    text = "import caffe\ndef f((a, b)):\n    return a / b\n\nprint reduce(max, [1])\nf((1, 0))\n"
    done = run(tmp_path, text)
    assert done.returncode == 1
    assert 's.py", line 6, in <module>\n    f((1, 0))' in done.stderr
    assert 's.py", line 3, in f\n    return a / b' in done.stderr


def test_the_converted_script_is_kept(tmp_path):
    head = '#!/usr/bin/env python\n"""What it does."""\n'
    text = head + "import os\nn = 5  # five\nprint n/2, round(2.5)\n"
    done = run(tmp_path, text, "--keep-2to3", "new.py")
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / "new.py").read_text()
    assert kept == (
        f"{head}from fcnkit.pycaffe.python2.names import div as _div, round\n"
        "import os\nn = 5  # five\nprint(_div(n,2), round(2.5))\n"
    )
    again = subprocess.run([sys.executable, "new.py"], cwd=tmp_path, capture_output=True, text=True)
    assert again.stdout == done.stdout == "2 3.0\n"
    assert (
        "new.py: exists already; give another name"
        in run(tmp_path, text, "--keep-2to3", "new.py").stderr
    )
    told = run(tmp_path, "print(1)", "--keep-2to3", "newer.py").stderr
    assert told == "fcnkit: s.py runs unchanged, so newer.py is not written\n"
    assert not (tmp_path / "newer.py").exists()


def test_what_is_neither(tmp_path):
    done = run(tmp_path, "print 'a'\nfoo bar baz\n")
    assert done.returncode == 1
    assert "fcnkit: s.py is neither Python 3 nor Python 2 (line 2)" in done.stderr
    assert "SyntaxError" in done.stderr


def test_what_could_not_be_converted_is_said(tmp_path, monkeypatch):
    done = within(monkeypatch, tmp_path, "print 1\nif 0:\n    raise 'no'\n")
    assert done.stdout == "1\n"
    words = "not converted: Line 3: could not convert: raise 'no', Python 3 does not support string"
    assert f"runs converted; {words} exceptions" in done.stderr


def test_names_and_lines_of_what_is_left(tmp_path, monkeypatch):
    text = "import sys\ndef f():\n    exec 'x = 1'\ntry:\n    pass\nexcept 'no': pass\nprint 1\n"
    done = within(monkeypatch, tmp_path, text + "if 0: import new\n")
    assert done.stdout == "1\n"
    told = done.stderr.partition("not converted: ")[2]
    assert told == (
        "Line 3: exec in a function does not bind its variables, "
        "Line 6: exceptions are not strings: 'no', Line 8: there is no module new\n"
    )


def test_methods_that_nothing_calls_any_more_are_named(tmp_path, monkeypatch):
    text = (
        "class A:\n    def __getitem__(self, i): return i\n"
        "    def __getslice__(self, a, b): return a\nprint A()[2]\n"
        "def __hex__(): pass\n"
    )
    done = within(monkeypatch, tmp_path, text)
    assert done.stdout == "2\n"
    told = done.stderr.partition("not converted: ")[2]
    assert told == "Line 3: nothing calls a method __getslice__\n"


@pytest.mark.parametrize(
    "text",
    [
        "class A(object):\n    __metaclass__ = type\n    def f(self, (a, b)):\n        return a\n",
        "try:\n    open('/nowhere')\nexcept IOError, (n, words):\n    pass\n",
        "def f(a, (b, c)): return b\ng = lambda (a, b), c: a\n",
        "def f((a, b)):\n    '''what it does'''\n    exec '''\nx = 1\n''' in {}\n",
        "k = [2]\nk.sort(lambda a,\n  b: cmp(a, b))\n",
        "k = 7\nif k:\n    # half\n    k /= 2\nk /= \\\n  2\n",
    ],
)
def test_lines_keep_their_numbers(text, tmp_path, monkeypatch):
    done = within(monkeypatch, tmp_path, f"{text}1/0\n")
    last = text.count("\n") + 1
    assert f's.py", line {last}, in <module>\n    1/0' in done.stderr
    assert "not converted" not in done.stderr


def test_what_python_2_stored(tmp_path, monkeypatch):
    """An array and strings as Python 2.7's cPickle and NumPy 1.16 store them."""
    (tmp_path / "two.pkl").write_bytes(
        b"\x80\x02}q\x01(U\x01acnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K"
        b"\x00\x85U\x01b\x87Rq\x04(K\x01K\x02\x85cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06("
        b"K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x07\xfftbU\x04nameq\x07"
        b"U\x04caf\xe9q\x08u."
    )
    (tmp_path / "two.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117)
        + b"\n\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U"
        b"\x01b\x87Rq\x03(K\x01)cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff"
        b"\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]q\x06}q\x07U\x01kU\x02\xe9!q\x08satb."
    )
    text = (
        "import cPickle, numpy as np\nd = cPickle.load(open('two.pkl', 'rb'))\n"
        "print d['a'], d['name'] == u'caf\\xe9', cPickle.load(open('two.pkl'))['a'][1]\n"
        "print np.load('two.npy').item()['k'] == u'\\xe9!'\n"
        "np.save('x.npy', {'a': 1})\n"
        "print np.load('x.npy').item(), np.load(open('x.npy', 'rb')).item()\n"
    )
    done = within(monkeypatch, tmp_path, text)
    assert done.exception is None, done.stderr
    assert done.stdout == "[  7 255] True 255\nTrue\n{'a': 1} {'a': 1}\n"


def test_without_fissix_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fissix", None)
    done = within(monkeypatch, tmp_path, "print(xrange(1))")
    assert done.exit_code == 2
    assert "pip install 'fcnkit[pycaffe]'" in done.stderr
    done = within(monkeypatch, tmp_path, "print 1")
    assert done.exit_code == 1 and "SyntaxError" in done.stderr
    assert "has a mistake: fissix is needed, and is not installed" in done.stderr


def test_nothing_leaks(tmp_path, monkeypatch):
    import builtins

    import numpy

    before = list(sys.meta_path), set(dir(builtins)), set(dir(numpy)), set(dir(unittest.TestCase))
    text = "import numpy as np\nprint np.int(5)/2, reduce(max, [1]), unicode"
    assert within(monkeypatch, tmp_path, text).exception is None
    after = list(sys.meta_path), set(dir(builtins)), set(dir(numpy)), set(dir(unittest.TestCase))
    assert after == before


def test_names_that_unittest_dropped(tmp_path, monkeypatch):
    for name in ("assertEquals", "assertRaisesRegexp"):
        monkeypatch.delattr(unittest.TestCase, name, raising=False)
    (tmp_path / "test_old.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEquals(1, 1)\n        self.assertItemsEqual([1, 2], [2, 1])\n"
        "        with self.assertRaisesRegexp(ValueError, 'a'):\n"
        "            raise ValueError('a')\n"
    )
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["run", "-m", "unittest", "test_old"])
    assert done.exit_code == 0, done.stderr
    assert not hasattr(unittest.TestCase, "assertItemsEqual")


def test_a_file_that_is_executed_is_converted(tmp_path):
    (tmp_path / "more.py").write_text("print 5/2, here\n")
    done = run(tmp_path, "here = 1\nexecfile('more.py')\n")
    assert done.stdout == "2 1\n", done.stderr


def test_layers_in_python_2_are_converted(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "halves.py").write_text(
        "import caffe\nclass Halves(caffe.Layer):\n    def setup(self, bottom, top):\n"
        "        print 'set up', self.phase, 5/2\n    def reshape(self, bottom, top):\n"
        "        top[0].reshape(1)\n    def forward(self, bottom, top):\n"
        "        top[0].data[...] = 5/2\n"
    )
    (tmp_path / "n.prototxt").write_text(
        'layer { name: "h" type: "Python" top: "h" '
        'python_param { module: "halves" layer: "Halves" } }'
    )
    text = "import caffe\nprint(caffe.Net('n.prototxt', caffe.TEST).forward()['h'])\n"
    done = run(tmp_path, text)
    assert done.stdout == "set up 1 2\n[2.]\n", done.stderr


def test_the_option_cpu(tmp_path):
    pytest.importorskip("torch")
    text = "import caffe\ncaffe.set_mode_gpu()\nfrom caffe import modes\nprint(modes.device())\n"
    done = run(tmp_path, text, "--cpu")
    assert (done.stdout, done.stderr) == ("cpu\n", "")


def test_round_of_large_numbers():
    assert names.round(2.0**60 + 1) == 2.0**60
    assert names.round(float("inf")) == float("inf")
    assert names.round(1234.5, -2) == 1200.0
    assert names.coerce(1, 2.0) == (1.0, 2.0)


def test_a_function_beside_a_number_is_more():
    """As SSD's model_libs compares `len > 0`, with the function that it forgot to call."""
    text = "def f(var):\n    assert len > 0\n    print 1 < max, len < 2, 3 >= len\nf([])\n"
    found = convert.converted(text, "a.py").text
    assert "assert True" in found and "print(True, False, False)" in found
    bound = convert.converted("def f(len):\n    print len > 0\n", "a.py").text
    assert "len > 0" in bound
