"""What code of others remembers where no round has it for itself: wherever it is, it is seen, and told by its name."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from digitcmp.errors import ConfigError
from digitcmp.train import outside
from digitcmp.train.outside import GIVEN, Outside
from tests.conftest import compose_config

BEGIN = """
import array, collections, contextvars, dataclasses, enum, functools, importlib, io, itertools, logging, random, re
import threading, types, weakref
import numpy as np
import torch
from torch import nn
import shared
from shared import add
"""
SHARED = "CALLS = [0]\nSEEN = 0\ndef add():\n    CALLS[0] += 1\ndef see():\n    global SEEN\n    SEEN += 1\n"
LATE = "CALLS = [0]\ndef add():\n    CALLS[0] += 1\n"
REMEMBERED = {  # what is beside the function, what it does, and what is told
    "number": ("CALLS = 0", "global CALLS; CALLS += 1", "CALLS"),
    "list": ("CALLS = [0]", "CALLS[0] += 1", "CALLS"),
    "dictionary": ("CALLS = {}", "CALLS['n'] = CALLS.get('n', 0) + 1", "CALLS"),
    "set": ("SEEN = set()", "SEEN.add(len(SEEN))", "SEEN"),
    "deque": ("LAST = collections.deque([0], maxlen=1)", "LAST.append(LAST[-1] + 1)", "LAST"),
    "counter": ("N = collections.Counter()", "N['n'] += 1", "N"),
    "tensor": ("MEAN = torch.zeros(3)", "MEAN.add_(1)", "MEAN"),
    "large tensor": ("MEAN = torch.zeros(1000, 1000)", "MEAN[3, 5] += 1", "MEAN"),
    "array": ("MEAN = np.zeros(3)", "MEAN[1] += 1", "MEAN"),
    "large array": ("MEAN = np.zeros((1000, 1000))", "MEAN[:] += 1", "MEAN"),
    "bytes": ("MEAN = array.array('d', [0])", "MEAN[0] += 1", "MEAN"),
    "count": ("N = itertools.count()", "next(N)", "N"),
    "cycle": ("N = itertools.cycle([1, 2, 3])", "next(N)", "N"),
    "iterator": ("N = iter([1, 2, 3])", "next(N)", "N"),
    "generator": ("N = (one for one in range(9))", "next(N)", "N"),
    "lists in lists": ("N = [{'a': [0]}]", "N[0]['a'].append(1)", "N"),
    "long list": ("N = [*range(5000)]", "N.append(1)", "N"),
    "object": ("class A:\n    n = 0\nA_ = A()", "A_.n += 1", "A_"),
    "object with slots": ("class A:\n    __slots__ = 'n'\nA_ = A(); A_.n = 0", "A_.n += 1", "A_"),
    "what an object calls": ("N = [0]\nclass A:\n    def add(self): N[0] += 1\nA_ = A()", "A_.add()", "N"),
    "module": ("M = nn.BatchNorm1d(3)", "M(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))", "M"),
    "optimiser": ("P = [nn.Parameter(torch.ones(1))]\nO = torch.optim.Adam(P)", "P[0].grad = torch.ones(1); O.step()", "P, mine.O"),
    "weak": ("class A: pass\nKEY = A()\nW = weakref.WeakKeyDictionary()", "W[KEY] = W.get(KEY, 0) + 1", "W"),
    "weak reference": ("class A:\n    n = 0\nA_ = A(); W = [weakref.ref(A_)]", "W[0]().n += 1", "W"),
    "variable of a context": ("V = contextvars.ContextVar('V')", "V.set(V.get(0) + 1)", "V"),
    "object in such a variable": ("V = contextvars.ContextVar('V', default=[0])", "V.get().append(1)", "V"),
    "of a thread": ("T = threading.local()\nT.n = 0", "T.n += 1", "T"),
    "of a thread, in a class": ("class A(threading.local):\n    n = 0\nT = A()", "T.n += 1", "T"),
    "member of a set": ("class A:\n    n = 0\nS = {A()}", "next(iter(S)).n += 1", "S"),
    "member of a weak set": ("class A:\n    n = 0\nA_ = A(); S = [weakref.WeakSet([A_])]", "[*S[0]][0].n += 1", "S"),
    "key": ("class A:\n    n = 0\nD = {A(): 1}", "[*D][0].n += 1", "D"),
    "text in memory": ("F = io.StringIO()", "F.write('a')", "F"),
    "bytes in memory": ("F = io.BytesIO(b'ab')", "F.seek(1)", "F"),
    "module that is made": ("M = types.ModuleType('made')\nM.n = 0", "M.n += 1", "M"),
    "module of another's name": ("M = types.ModuleType('late')\nM.n = 0", "M.n += 1", "M"),
    "module of a class": ("class A(types.ModuleType):\n    n = 0\nM = A('made')", "M.n += 1", "M"),
    "closure": (
        "def made():\n    n = 0\n    def f():\n        nonlocal n; n += 1\n    return f\nf = made()",
        "f()",
        "n of made.<locals>.f",
    ),
    "decorator": (
        "def counted(f):\n    n = [0]\n    @functools.wraps(f)\n    def g():\n        n[0] += 1\n    return g\n@counted\ndef f(): pass",
        "f()",
        "n of f",
    ),
    "torch's decorator": ("N = [0]\n@torch.no_grad()\ndef f(): N[0] += 1", "f()", "N"),
    "attribute of a function": ("def f():\n    f.n = getattr(f, 'n', 0) + 1", "f()", "f.n"),
    "default": ("def f(n=[]):\n    n.append(1)", "f()", "n of f"),
    "default by name": ("def f(*, n=[]):\n    n.append(1)", "f()", "n of f"),
    "attribute of a class": ("class A:\n    n = 0", "A.n += 1", "A.n"),
    "member of an enum": ("class A(enum.Enum):\n    X = [1]", "A.X.value.append(1)", "A.X"),
    "attribute of an enum": ("class A(enum.Enum):\n    X = 1", "A.n = getattr(A, 'n', 0) + 1", "A.n"),
    "list of a class": ("class A:\n    n = [0]", "A().n.append(1)", "A.n"),
    "attribute of a class below": ("class A:\n    n = [0]\nclass B(A): pass", "B.n.append(1)", "A.n"),
    "new attribute of a class": ("class A: pass", "A.n = getattr(A, 'n', 0) + 1", "A.n"),
    "function within": ("N = [0]", "(lambda: N.append(1))()", "N"),
    "function in a dictionary": ("N = [0]\nF = {'f': lambda: N.append(1)}", "F['f']()", "N"),
    "partial": ("N = [0]\ndef f(n): N.append(n)\ng = functools.partial(f, 1)", "g()", "N"),
    "what a partial is given": ("def f(n): n.append(1)\ng = functools.partial(f, [])", "g()", "g"),
    "static method": ("N = [0]\nclass A:\n    @staticmethod\n    def f(): N.append(1)", "A.f()", "N"),
    "property": ("N = [0]\nclass A:\n    @property\n    def f(self): N.append(1)", "A().f", "N"),
    "within a cache": ("N = [0]\n@functools.cache\ndef f(n): N.append(n)", "f(len(N))", "N"),
    "what a cache gives": ("@functools.cache\ndef mean(): return torch.zeros(3)\nmean()", "mean().add_(1)", "mean"),
    "large, from a cache": ("@functools.cache\ndef mean(): return torch.zeros(1000, 1000)\nmean()", "mean()[0].add_(1)", "mean"),
    "a cache with a size": ("@functools.lru_cache\ndef n(a, b=1): return [a]\nn(2); n(2, b=3); n(2.5)", "n(2, b=3).append(1)", "n"),
    "a cache of a library's": ("zeros = functools.cache(torch.zeros)\nzeros(3)", "zeros(3).add_(1)", "zeros"),
    "a cached method": ("class A:\n    @functools.cache\n    def n(self): return [0]\nA_ = A(); A_.n()", "A_.n().append(1)", "A.n"),
    "a function from a cache": (
        "@functools.cache\ndef made():\n    n = [0]\n    return lambda: n.append(1)\nmade()",
        "made()()",
        "n of made.<locals>.<lambda>",
    ),
    "another module": ("", "shared.CALLS[0] += 1", "shared.CALLS"),
    "function of another module": ("", "shared.see()", "shared.SEEN"),
    "imported function": ("", "add()", "shared.CALLS"),
    "import within": ("", "from shared import see; see()", "shared.SEEN"),
    "new": ("", "global N; N = 1", "N"),
    "made once": ("GRID = None", "global GRID\n    if GRID is None: GRID = torch.ones(3)", "GRID"),
    "Python's generator": ("", "random.random()", "the state of random"),
    "NumPy's generator": ("", "np.random.rand()", "the state of numpy"),
    "Python's generator, by the name of a function": ("from random import random as drawn", "drawn()", "the state of random"),
    "NumPy's, by the name of a function": ("from numpy.random import rand", "rand()", "the state of numpy"),
    "NumPy's, by another name": ("import numpy.random as npr", "npr.rand()", "the state of numpy"),
    "imported within": ("", "from numpy import random as r; r.rand()", "the state of numpy"),
    "imported by a text": ("", "importlib.import_module('ran' + 'dom').random()", "the state of random"),
    "a generator": ("R = random.Random(0)", "R.random()", "R"),
    "NumPy's old generator": ("R = np.random.RandomState(0)", "R.randn()", "R"),
    "bits of NumPy's": ("R = np.random.PCG64(0)", "R.random_raw()", "R"),
    "a scheduler": (
        "O = torch.optim.SGD([torch.ones(1)])\nS = torch.optim.lr_scheduler.StepLR(O, 3); O.step()",
        "S.step()",
        "S",
    ),
    "what a property has worked out": (
        "class A:\n    @functools.cached_property\n    def n(self): return [0]\nA_ = A(); A_.n",
        "A_.n.append(1)",
        "A_",
    ),
    "torch's generator": ("R = torch.Generator()", "torch.rand(1, generator=R)", "R"),
    "switched": ("def a(): pass\ndef b(): pass\nf = a", "global f; f = b", "f"),
}
FINE = {
    "constants": ("GRID = torch.ones(3)\nclass A:\n    n = 3", "GRID * A.n"),
    "large constants": ("GRID = torch.ones(1000, 1000).mul_(2)\nA = np.ones((1000, 1000))", "GRID[0] * A[0, 0]"),
    "cache": ("@functools.cache\ndef grid(n): return torch.ones(n)", "grid(3)"),
    "cache with a size": ("@functools.lru_cache(2)\ndef grid(n): return torch.ones(n)\ngrid(1)", "[grid(n) for n in (2, 3, 4, 1)]"),
    "large, made anew": ("@functools.lru_cache(1)\ndef n(a): return torch.ones(a, 999)\nn(999)", "k = [n(999)]; n(1); k += [n(999)]"),
    "no cache": ("@functools.lru_cache(0)\ndef grid(n): return [n]\ngrid(1)", "grid(1).append(2)"),
    "cache of a method": ("class A:\n    @functools.lru_cache\n    def grid(self): return 3\nA_ = A()", "A_.grid()"),
    "constants in many things": (
        "class A: pass\nS = {A(), 1, 'a'}; D = {A(): 1, 'b': A(), (1, 2): 3}; A_ = A(); W = weakref.ref(A_)\n"
        "V = contextvars.ContextVar('V'); F = io.StringIO('a'); G = io.StringIO('a'); G.close(); T = threading.local()\n"
        "M = types.ModuleType('made'); M.n = M",
        "S, D, W(), V.get(None), F.getvalue(), G, vars(T), M.n",
    ),
    "parts of networks, weakly": (
        "class A(nn.Linear): pass\nA_ = [A(1, 1)]\nW = weakref.ref(A_[0]); D = weakref.WeakKeyDictionary({A_[0]: 1}); "
        "S = weakref.WeakSet(A_)\ndef other(): A_[0].weight.data.add_(1)",
        "W, D, S",
    ),
    "properties that are worked out once": (
        "@dataclasses.dataclass(frozen=True)\nclass A:\n    n: int\n"
        "    @functools.cached_property\n    def mean(self): return torch.ones(self.n)\n"
        "class B(enum.Enum):\n    X = 1\n    @functools.cached_property\n    def n(self): return [self.value]\n"
        "A_ = A(3); D = torch.distributions.Categorical(logits=torch.ones(3))",
        "A_.mean, B.X.n, D.probs",
    ),
    "an iterator that cannot be copied": (
        "L = iter(torch.utils.data.DataLoader([1, 2, 3]))\nclass C(dict): pass\nD = C(a=1); M = re.finditer('a', 'aa')",
        "L, D, M",
    ),
    "flags together": ("class A(enum.Flag):\n    X = 1\n    Y = 2\n    Z = 4", "A.X | A.Z, ~A.Y, A(7)"),
    "members of an enum": (
        "class A(enum.Enum):\n    X = 1\n    Y = [2]\nB = {A.X: 1, 'b': A.Y}; C = {A.X}",
        "A(1), A([2]), A['Y'], B[A.X]",
    ),
    "logger": ("LOG = logging.getLogger('mine')", "LOG.debug('told')"),
    "what others count": ("N = [0]\ndef other(): N.append(1)", "pass"),
    "its own": ("class A:\n    def __init__(self): self.n = 0\n    def add(self): self.n += 1", "a = A(); a.add()"),
    "generators of its own": ("", "random.Random(3).random(), np.random.default_rng(0).random()"),
    "switched back": ("N = [0]", "N.append(1); N.pop()"),
}
Make = Callable[[str, str], ModuleType]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Modules of somebody's own: `mine`, with a function `step` that does something, and one that it imports."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shared.py").write_text(SHARED)
    (tmp_path / "late.py").write_text(LATE)

    def made(beside: str, does: str) -> ModuleType:
        (tmp_path / "mine.py").write_text(f"{BEGIN}{beside}\ndef step():\n    {does}\n")
        return importlib.import_module("mine")

    yield made
    for name in ("mine", "shared", "late"):
        sys.modules.pop(name, None)


def looked_at(monkeypatch: pytest.MonkeyPatch, *roots: object) -> Outside:
    """A loss that begins there, when its training begins."""
    monkeypatch.setattr(outside, "parts_of", lambda *_: iter([("loss.terms: mine", GIVEN, roots)]))
    weight = torch.nn.Parameter(torch.ones(1))
    return Outside(compose_config(), [], torch.optim.SGD([weight]))


@pytest.mark.parametrize("name", REMEMBERED)
def test_what_is_remembered_is_seen(name: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is kept in, and however the function comes to it."""
    beside, does, told = REMEMBERED[name]
    module = make(beside, does)
    own = looked_at(monkeypatch, module.step)
    own.check()
    module.step()
    with pytest.raises(ConfigError) as refused:
        own.check()
    told = told if told.startswith(("shared", "the")) else f"mine.{told}"
    assert str(refused.value).startswith(f"loss.terms: mine remembers {told} from one step to the next, so that a round's numbers would")


@pytest.mark.parametrize("name", FINE)
def test_what_changes_nothing_is_taken(name: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants, what is made for a call, caches, and what another part of a file does."""
    beside, does = FINE[name]
    module = make(beside, does)
    own = looked_at(monkeypatch, module.step)
    module.step()
    if hasattr(module, "other"):
        module.other()
    own.check()
    with torch.inference_mode():
        own.check()


def test_what_is_imported_late_counts_from_then_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first epoch it begins as it always does."""
    module = make("", "from late import add; add()")
    own = looked_at(monkeypatch, module.step)
    module.step()
    own.check()
    module.step()
    with pytest.raises(ConfigError, match=r"remembers late\.CALLS from one step to the next"):
        own.check()


@pytest.mark.parametrize("around", ["@functools.cache", "class A:\n  @staticmethod\n  @functools.cache", "class A:\n  @functools.cache"])
def test_what_is_cached_late_counts_from_then_on(around: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cache gets in the first epoch, too."""
    whole, indent = ("A.mean", "  ") if "class" in around else ("mean", "")
    module = make(f"{around}\n{indent}def mean(): return torch.zeros(3)", f"{whole}().add_(1)")
    own = looked_at(monkeypatch, module.step)
    module.step()
    own.check()
    module.step()
    with pytest.raises(ConfigError, match=rf"remembers mine\.{whole} from"):
        own.check()


@pytest.mark.parametrize("made", ["Term()", "Term().__call__", "functools.partial(Term())"])
def test_an_object_that_is_called_remembers_nothing(made: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss may be one, or a method of one."""
    module = make(f"class Term:\n    n = 0\n    def __call__(self): self.n += 1\nterm = {made}", "pass")
    own = looked_at(monkeypatch, module.term)
    module.term()
    with pytest.raises(ConfigError, match=r"loss\.terms: mine remembers self"):
        own.check()


def test_what_callbacks_draw_is_nobodys_concern(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between epochs: neither is it taken for what a part draws, nor does it hide that."""
    module = make("", "random.random()")
    own = looked_at(monkeypatch, module.step)
    own.pause()
    module.step()
    own.check()
    own.go_on()
    own.check()
    module.step()
    own.pause()
    module.step()
    own.go_on()
    with pytest.raises(ConfigError, match=r"^loss\.terms: mine remembers the state of random from one step"):
        own.check()


def test_who_draws_is_told_where_it_can_be(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its code names; else all parts that it may be are."""
    for does, told in (("random.random()", "mine"), ("importlib.import_module('ran' + 'dom').uniform(0, 1)", "a or mine")):
        module = make("def other(): pass", does)
        roots = [("a", GIVEN, [module.other]), ("mine", GIVEN, [module.step]), ("model=x", GIVEN, [])]
        monkeypatch.setattr(outside, "parts_of", lambda *_, roots=roots: iter(roots))
        own = Outside(compose_config(), [], torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]))
        module.step()
        with pytest.raises(ConfigError, match=rf"^{told} remembers the state of random from one step"):
            own.check()
        sys.modules.pop("mine")


def test_many_names_are_told_in_short(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first three."""
    module = make("A = [0]; B = [0]; C = [0]; D = [0]; E = [0]", "for one in (A, B, C, D, E): one.append(1)")
    own = looked_at(monkeypatch, module.step)
    module.step()
    with pytest.raises(ConfigError, match=r"mine\.A, mine\.B, mine\.C and 2 more from one step"):
        own.check()


def test_no_work_without_code_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked at."""
    monkeypatch.setattr(outside, "Look", None)
    Outside(compose_config(), [torch.nn.Linear(1, 1)], torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])).check()
