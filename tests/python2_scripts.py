"""Scripts of Python 2, and what Python 2.7 prints of each."""

PRINTS = {
    "numbers": ("print 5/2, -7/2, 5/2.0, 7/2*2, 7*2/4, 5//2, 5%3/2", "2 -4 2.5 6 3 2 1"),
    "in place": ("a = 7\na /= 2\nb = [9]\nb[0] /= 2\nprint a, b", "3 [4]"),
    "names": ("n = 5\nm = n/2.\nprint n/2, m, (n+1)/4, -n/2, n/-2, n/len('ab')", "2 2.5 1 -3 -3 2"),
    "true division": ("from __future__ import division\nprint 5/2", "2.5"),
    "over lines": ("x = (7 /  # all\n     2)\nprint x, 9 \\\n    / 2", "3 4"),
    "nested": ("f = lambda a, b=9/2: (a/2)/(b/2)\nprint f(8), [x/2 for x in (3, 5)]", "2 [1, 2]"),
    "round": ("print round(2.5), round(-0.5), round(3)/2, round(2.675, 1)", "3.0 -1.0 1.5 2.7"),
    "math": (
        "import math\nprint math.floor(2.5)/2, math.ceil(2.5), int(math.ceil(5/2))",
        "1.0 3.0 2",
    ),
    "from math": ("from math import floor, ceil\nprint floor(5)/2, ceil(0.5)", "2.5 1.0"),
    "lists": (
        "print map(str, [1])[0], zip('a', 'b')[0], range(3) + [9]",
        "1 ('a', 'b') [0, 1, 2, 9]",
    ),
    "filter": ("k = filter(None, [0, 1, 2])\nk.sort(lambda a, b: cmp(b, a))\nprint k", "[2, 1]"),
    "keys": (
        "d = {'a': 1}\nk = d.keys()\nk.append('b')\nprint k, d.items()[0]",
        "['a', 'b'] ('a', 1)",
    ),
    "items": ("for k, v in {'a': 1}.iteritems(): print k, v", "a 1"),
    "has_key": ("print {'a': 1}.has_key('a'), isinstance('a', basestring)", "True True"),
    "reduce": ("print reduce(lambda a, b: a + b, xrange(4)), apply(max, (1, 2))", "6 2"),
    "sorted": ("print sorted([1, 3, 2], lambda a, b: b - a), sorted([2, 1])", "[3, 2, 1] [1, 2]"),
    "errors": ("try:\n    raise ValueError, 'no'\nexcept ValueError, e:\n    print e", "no"),
    "literals": ("print 0777, 10L, u'a' 'b', `1`, 1 <> 2", "511 10 ab 1 True"),
    "print": ("import sys\nprint >>sys.stdout, 'a',\nprint 'b'", "a b"),
    "pairs": ("def f((a, b), c):\n    return a, b, c\nprint f((1, 2), 3)", "(1, 2, 3)"),
    "exec": ("exec 'z = 1 + 1'\nprint z", "2"),
    "reload": ("import sys\nreload(sys)\nsys.setdefaultencoding('utf8')\nprint 'on'", "on"),
    "text": (
        "from cStringIO import StringIO\ns = StringIO()\nprint >>s, 'a'\nprint repr(s.getvalue())",
        "'a\\n'",
    ),
    "bytes": ("import StringIO\ns = StringIO.StringIO(b'\\xff')\nprint len(s.read())", "1"),
    "pickle": (
        "import cPickle as p\np.dump([1], open('x', 'w'))\n"
        "print p.load(open('x')), p.loads(p.dumps(2))",
        "[1] 2",
    ),
    "old pickles": ("import pickle\nprint pickle.loads('S\"\\\\xe9\"\\n.') == u'\\xe9'", "True"),
    "tabs": ("if 1:\n        a = '''\n\t'''\n\tprint len(a)", "2"),
    "an array": (
        "import numpy as np\na = np.arange(5)\nb = a\na /= 2\n"
        "print b, a/2, a/2., np.array([3])/[2]",
        "[0 0 1 1 2] [0 0 0 0 1] [0.  0.  0.5 0.5 1. ] [1]",
    ),
    "a class": (
        "class A:\n    def __div__(self, n): return n\n    def __rdiv__(self, n): return -n\n"
        "a = A()\nb = A()\nb /= 4\nprint A()/3, 3/A(), b",
        "3 -3 4",
    ),
    "sort by": ("k = [1, 2]\nk.sort(cmp = lambda a, b: b - a)\nprint k", "[2, 1]"),
    "bytes as text": (
        "f = open('x', 'w')\nf.write(b'\\xff\\x00')\nf.close()\nprint repr(open('x').read())",
        r"'\xff\x00'",
    ),
    "text as bytes": (
        "f = open('x', 'wb')\nf.write('a\\n')\nf.close()\nprint repr(file('x', 'rU').read())",
        r"'a\n'",
    ),
    "lines": (
        "with open('x', 'w') as f:\n    print >>f, 'a'\n    f.write('\\xe9')\n"
        "print [line.strip() for line in open('x')], open('x', 'ab').tell()",
        r"['a', '\xe9'] 3",
    ),
    "a database": (
        "import lmdb\ne = lmdb.open('d')\nwith e.begin(write=True) as t:\n"
        "    t.put('%d' % 1, b'a')\n    t.put(key='2', value='b')\n    c = t.cursor()\n"
        "    c.putmulti([('3', '\\xff')])\nc = e.begin().cursor()\n"
        "n = 0\nwhile c.next() == True:\n    n += 1\n"
        "print n, repr(e.begin().get('2')), {1: 2}.get(1), [k for k, v in c if v == 'b'], "
        "c.set_key('3'), c.key() + '!', len(c.value()), e.stat()['entries'], "
        "[k + v for k, v in e.begin().cursor().iternext()][0]",
        "3 'b' 2 ['2'] True 3! 1 3 1a",
    ),
    "next": ("class A:\n    def next(self): return 3\nprint A().next(), iter([1]).next()", "3 1"),
    "functions of string": (
        "import string\nfrom string import letters\n"
        "print string.join(['a', 'b'], '-'), string.atoi('12')/5, map(string.strip, ['a ']), "
        "string.split('a b'), letters[:2], string.maketrans('a', 'b')[97], string.digits",
        "a-b 2 ['a'] ['a', 'b'] ab b 0123456789",
    ),
    "translate": (
        "from string import maketrans as m\n"
        "print 'a-b.'.translate(None, '-.'), 'aab'.translate(m('ab', 'xy'), 'b'), "
        "'ab'.translate(m('a', 'c'))",
        "ab xx cb",
    ),
    "digests": (
        "import md5, hashlib\nfrom sha import new\nm = md5.new()\nm.update('abc')\n"
        "print m.hexdigest()[:4], md5.md5('a').hexdigest()[:4], new('abc').hexdigest()[:4], "
        "hashlib.new('md5', 'abc').hexdigest() == hashlib.md5('abc').copy().hexdigest(), "
        "len(m.digest())",
        "9001 0cc1 a999 True 16",
    ),
    "codecs": (
        "s = 'abc'\nprint s.encode('hex'), '616263'.decode('hex'), 'YWJj'.decode('base64'), "
        "s.encode('rot13'), s.encode('zlib').decode('zlib'), s.decode('utf-8'), "
        "len(u'\xe9'.encode('utf-8')), unicode('a', 'ascii') + s.encode('ascii')",
        "616263 abc abc nop abc abc 2 aabc",
    ),
    "bytes that are text": (
        "s = 'caf\\xc3\\xa9'\nprint len(s), len(s.decode('utf-8')), s[3] == '\\xc3', s + '!', "
        "ord(s[-1]), 'f' in s, [len(x) for x in s.split('f')], {'caf\xe9': 1}[s], len(chr(200))",
        "5 4 True caf\xe9! 169 True [2, 2] 1 1",
    ),
    "a file of bytes": (
        "import struct, os\nf = open('x', 'wb')\nf.write(struct.pack('>I', 2051) + '\\x01\\xff')\n"
        "f.close()\nf = open('x', 'rb')\nprint struct.unpack('>I', f.read(4))[0]/2, "
        "[ord(b) for b in f.read()], os.path.getsize('x')",
        "1025 [1, 255] 6",
    ),
    "binary modules": (
        "import base64, binascii, zlib\nprint base64.b64encode('abc'), base64.b64decode('YWJj'), "
        "binascii.hexlify('abc'), zlib.decompress(zlib.compress('abc')), zlib.crc32('abc') & 255",
        "YWJj abc 616263 abc 194",
    ),
    "csv": (
        "import csv\nf = open('x', 'wb')\ncsv.writer(f).writerow(['a', 1])\nf.close()\n"
        "print list(csv.reader(open('x', 'rb'))), list(csv.DictReader(['k', 'v']))[0]['k']",
        "[['a', '1']] v",
    ),
    "processes": (
        "import subprocess as s, commands\np = s.Popen(['cat'], stdin=s.PIPE, stdout=s.PIPE)\n"
        "print s.check_output(['echo', 'a b']).split(' '), p.communicate('x')[0] + 'y'\n"
        "p = s.Popen('echo q', shell=True, stdout=s.PIPE)\n"
        "print [line.strip() + '.' for line in p.stdout], commands.getstatusoutput('exit 3'), "
        "commands.getoutput('echo z')",
        "['a', 'b\\n'] xy\n['q.'] (768, '') z",
    ),
    "addresses": (
        "import urllib, os\nfrom urllib2 import urlopen\nfrom urlparse import urlparse\n"
        "open('x', 'w').write('hi')\nu = 'file://' + os.path.abspath('x')\n"
        "print urllib.urlretrieve(u, 'y')[0], open('y').read(), urlopen(u).read() + '!', "
        "urllib.quote('a b'), urllib.urlencode({'a': 1}), urlparse('http://a/b').path",
        "y hi hi! a%20b a=1 /b",
    ),
    "other modules": (
        "import ConfigParser, Queue, __builtin__, StringIO, exceptions, sets\n"
        "from types import *\nfrom collections import Iterable\n"
        "c = ConfigParser.ConfigParser()\nc.readfp(StringIO.StringIO('[a]\\nx=5'))\n"
        "print c.getint('a', 'x')/2, Queue.Queue(3).qsize(), hasattr(__builtin__, 'sum'), "
        "type('a') is StringType, isinstance([], Iterable), exceptions.IOError is IOError, "
        "len(sets.Set([1]))",
        "2 0 True True True True 1",
    ),
    "names of modules": (
        "import sys, os, itertools, time, operator, collections\n"
        "print sys.maxint > 2**31, os.getcwdu() == os.getcwd(), list(itertools.izip('a', 'b')), "
        "time.clock() >= 0, reduce(operator.div, (9, 2)), collections.Mapping.__name__",
        "True True [('a', 'b')] True 4 Mapping",
    ),
    "itertools": (
        "import itertools as it, itertools\nfrom itertools import imap, izip, chain\n"
        "print list(imap(lambda a, b: a, [1, 2, 3], [4, 5])), list(imap(None, [1, 2], [3]))\n"
        "source = iter([1, 2, 3, 4])\nprint imap(abs, source).next(), list(source)\n"
        "f = itertools.izip\nprint list(it.islice(it.imap(abs, it.count()), 2)), f('a', 'b').next()"
        "\n"
        "print list(it.ifilter(str.isdigit, 'a12')), list(itertools.ifilterfalse(None, [0, 1]))",
        "[1, 2] [(1, 3)]\n1 [2, 3, 4]\n[0, 1] ('a', 'b')\n['1', '2'] [0]",
    ),
    "seeds": (
        "import random\n"
        "for a in (2.5, 0.1, -0.3, 3.0, -1.0, -4.0, 1e10, 1e19, -3e200):\n"
        "    random.seed(a)\n    print '%.6f' % random.random(),\n"
        "random.seed(2)\nprint '%.6f %.6f' % (random.gammavariate(1, 2), random.betavariate(1, 2))",
        "0.150646 0.151849 0.381149 0.237965 0.131195 0.055994 0.360511 0.687840 0.015619 "
        "0.089923 0.010375",
    ),
    "more lists": (
        "print map(None, [1, 2], [3]), filter(str.isdigit, 'a1'), filter(None, (1, 0)), "
        "map(None, 'ab'), len(filter(lambda x: x > 1, [1, 2])), map(lambda a, b: b, [1, 2], [3])",
        "[(1, 3), (2, None)] 1 (1,) ['a', 'b'] 1 [3, None]",
    ),
    "sorts": (
        "k = [1, 3, 2]\nk.sort(lambda a, b: cmp(a, b), reverse=True)\nprint k\n"
        "k.sort(cmp=cmp, key=lambda a: -a)\nprint k, sorted(k, cmp=cmp)\n"
        "import numpy as np\na = np.array([[2, 1]])\na.sort(1)\na.sort(axis=0)\nprint a",
        "[3, 2, 1]\n[3, 2, 1] [1, 2, 3]\n[[1 2]]",
    ),
    "tuples in lambdas": (
        "print map(lambda (a, b), c: a + b/c, [(1, 5)], [2]), map(lambda (a, b): a, [(1, 2)]), "
        "sorted([((1, 2), 3)], key=lambda ((a, b), c): a)",
        "[3] [1] [((1, 2), 3)]",
    ),
    "what is executed": (
        "d = {}\nexec 'b = 5/2' in d\nexec 'print d[\"b\"]'\n"
        "def f(n): return eval('n/2'), eval('[xrange(n)[1] for _ in [0]]')\nprint f(7), eval('1L')",
        "2\n(3, [1]) 1",
    ),
    "a target that is called for": (
        "n = [0]\ndef at():\n    n[0] += 1\n    return 0\nb = [7]\nb[at()] /= 2\nprint b, n",
        "[3] [1]",
    ),
    "numbers in eights": (
        "print 0755, 00, 010, 07L, oct(8), oct(0), -0644",
        "493 0 8 7 010 0 -420",
    ),
    "compared": (
        "class A:\n    def __init__(self, n): self.n = n\n"
        "    def __cmp__(self, other): return cmp(self.n, other.n)\n"
        "class B(object):\n    def __cmp__(self, other): return 0\nclass C(A): pass\n"
        "print max([A(1), A(3), A(2)]).n, A(1) < A(2), B() == B(), C(1) >= C(2)",
        "3 True True False",
    ),
    "draws": (
        "import random\nrandom.seed(1)\nk = range(6)\nrandom.shuffle(k)\n"
        "print k, random.sample(xrange(100), 3), random.choice('abc'), random.randint(1, 9), "
        "random.randrange(0, 50, 7), random.sample(k, 4), random.Random(5).sample(range(90), 6)\n"
        "random.seed('a')\nprint random.randrange(1000), round(random.uniform(1, 2), 6)",
        "[1, 2, 5, 3, 4, 0] [44, 65, 78] a 1 42 [5, 3, 1, 2] [56, 66, 71, 84, 83, 2]\n861 1.631188",
    ),
    "caught": (
        "try:\n    raise ValueError('q')\nexcept ValueError, e:\n    print e.message, e[0]\n"
        "try:\n    open('/nowhere')\nexcept IOError, (number, words):\n    print number, words\n"
        "try:\n    open('/nowhere')\nexcept IOError as (number, _):\n    print number",
        "q q\n2 No such file or directory\n2",
    ),
    "walk": (
        "import os\ndef v(found, folder, names): found.append(sorted(names))\nfound = []\n"
        "os.mkdir('d')\n# all\nos.path.walk('.', v, found)\nprint found",
        "[['d', 's.py'], []]",
    ),
    "pictures in memory": (
        "import StringIO\nfrom PIL import Image\ns = StringIO.StringIO()\n"
        "Image.new('L', (3, 2)).save(s, 'PNG')\n"
        "print Image.open(StringIO.StringIO(s.getvalue())).size, s.getvalue()[1:4]",
        "(3, 2) PNG",
    ),
    "no ends": ("print 1", "1"),
    "windows": ("print 1\r\nprint 3/2\r\n", "1\n1"),
    "latin": ("# -*- coding: latin-1 -*-\nprint len('\xe9')", "1"),
}
