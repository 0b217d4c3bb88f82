"""The list of engines, and an engine as a value: what runs nets, imported when it is first used.

An engine is a module with `available()`, whether it is installed; `INSTALL`,
the command that installs it; and `run_all(net, weights, many, outputs, *,
state)`, which yields what the net computes of each of many inputs.  One that is
slow to start may have `run_jobs(jobs)` as well; one with `runs(type_name)` is
named where another does not run a layer type; `version()` is what results say; `installable()`
is False where that command cannot work.  To
add an engine, write its module and its line in ENGINES.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from fcnkit.errors import EngineError, error_text
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import State
from fcnkit.weights.store import GivenWeights

TEST = State()

LARGE = 256_000_000
"""Weights of more bytes than this are held as few times as an engine can."""


class Job(NamedTuple):
    """One net to run on one set of inputs, and the blobs to read afterwards."""

    net: Prototxt
    weights: GivenWeights
    inputs: Mapping[str, Any]
    outputs: Sequence[str] | None = None
    state: State = TEST


class Engine(NamedTuple):
    """An engine by its name, and the device that it is asked to compute on.

    `devices` says that it knows several; its `run_all` then takes `device`.  `forks` says that
    it computes layers and words of Caffe's forks as they do, `thrifty` that it holds the weights
    of a file once, where others hold them two to four times.
    """

    name: str
    module: str
    devices: bool = False
    forks: bool = False
    thrifty: bool = False
    device: str | None = None

    @property
    def install(self) -> str:
        """The command that installs it."""
        return self._module.INSTALL

    def available(self) -> bool:
        """Whether it is installed here."""
        return self._module.available()

    def installable(self) -> bool:
        """Whether its command can install it on this machine."""
        return bool(getattr(self._module, "installable", lambda: True)())

    def check(self) -> None:
        """Raises EngineError if it is not installed here."""
        if not self.available():
            raise EngineError(f'the engine "{self.name}" is not installed: run `{self.install}`')

    @property
    def version(self) -> str:
        """The version of what is installed; "" where it does not say one.

        Raises EngineError if it is not installed, or does not load.
        """
        self.check()
        try:
            return getattr(self._module, "version", str)()
        except ImportError as error:
            raise self._broken(error) from error

    def _broken(self, error: ImportError) -> EngineError:
        fact = f'the engine "{self.name}" is installed but does not load: {error_text(error)}'
        return EngineError(f"{fact}; `fcnkit doctor` shows what works here")

    def runs(self, type_name: str) -> bool:
        """Whether it is known to run this layer type."""
        return bool(getattr(self._module, "runs", lambda name: False)(type_name))

    def run_all(
        self,
        net: Prototxt,
        weights: GivenWeights,
        many: Iterable[Mapping[str, Any]],
        outputs: Sequence[str] | None = None,
        *,
        state: State = TEST,
    ) -> Iterator[dict[str, Any]]:
        """What the net computes of each of many inputs in turn: a float32 array per output blob.

        `weights` is a path, a Weights or None.  Every input blob takes its
        array's shape.  `outputs` may name any blob; they are the net's own
        outputs when not given.

        Raises EngineError where the engine is not installed or refuses the net.
        """
        options = {"device": self.device} if self.device else {}
        self.check()
        try:
            yield from self._module.run_all(net, weights, many, outputs, state=state, **options)
        except ImportError as error:
            raise self._broken(error) from error

    def run_jobs(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """The outputs of each job, which may be of several nets; raises as `run_all` does."""
        at_once = getattr(self._module, "run_jobs", None)
        if at_once:
            return list(at_once(jobs))
        run = single(self.run_all)
        return [run(*job[:4], state=job.state) for job in jobs]

    @property
    def _module(self) -> ModuleType:
        return import_module(self.module)


ENGINES = (
    Engine("caffe", "fcnkit.engines.caffe"),
    Engine("opencv", "fcnkit.engines.opencv"),
    Engine("torch", "fcnkit.engines.torch", devices=True, forks=True, thrifty=True),
    Engine("onnx", "fcnkit.engines.onnx", thrifty=True),
)
"""Every engine, the preferred one first."""


def single(run_all: Callable[..., Iterator[dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """An engine's `run`: what its `run_all` yields, for one set of inputs."""

    def run(
        net: Prototxt,
        weights: GivenWeights,
        inputs: Mapping[str, Any],
        outputs: Sequence[str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """What the net computes of these inputs: a float32 array per output blob, by name."""
        return next(iter(run_all(net, weights, [inputs], outputs, **options)))

    return run


def names() -> list[str]:
    """The names of the engines, the preferred one first."""
    return [engine.name for engine in ENGINES]


def with_devices() -> list[str]:
    """The names of the engines that know several devices."""
    return [engine.name for engine in ENGINES if engine.devices]


def installed_engines() -> tuple[str, ...]:
    """Lists the engines that are installed here; the first is used by default.

    >>> set(fk.installed_engines()) <= {"caffe", "opencv", "torch", "onnx"}
    True

    Returns their names, in the form that `infer` and `verify` take.
    """
    return tuple(engine.name for engine in ENGINES if engine.available())


def choose(
    name: str | None = None, device: str | None = None, *, nets: Sequence[Prototxt] = ()
) -> Engine:
    """The engine of this name, on this device; without a name, the first that is installed, or
    for nets with words of forks the first that knows such.

    With a device and no name it is the first engine that knows several
    devices.  Raises EngineError when there is no engine, none of this name, or
    one that has no devices.
    """
    if device is not None:
        return _placed(name, device)
    if name is not None:
        return _named(name)
    found = [engine for engine in ENGINES if engine.available()]
    if not found:
        raise EngineError(f"no engine is installed; {how_to_install(names())}")
    if len(found) > 1 and nets:
        from fcnkit.engines.fields import of_forks

        found.sort(key=lambda engine: any(map(of_forks, nets)) and not engine.forks)
    return found[0]


def instead(*types: str, but: str) -> str:
    """What to do where an engine does not run a layer, or a net of these types:
    `but` that one, those that know all of them.
    """
    found = [
        engine.name for engine in ENGINES if engine.name != but and all(map(engine.runs, types))
    ]
    if not found:
        return "use the fork of Caffe that has it" if len(types) == 1 else "use a fork of Caffe"
    return f"use the engine {' or '.join(found)}"


def how_to_install(those: Sequence[str]) -> str:
    """What installs one of these engines, or else any, of those that this machine can have."""
    able = [engine for engine in ENGINES if engine.installable()]
    found = [engine for engine in able if engine.name in those] or able
    return f"run {', or '.join(f'`{engine.install}`' for engine in found)}"


def _named(name: str) -> Engine:
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise EngineError(f'no engine "{name}"; there are {", ".join(names())}')


def _placed(name: str | None, device: str) -> Engine:
    engine = _named(name or with_devices()[0])
    if not engine.devices:
        raise EngineError(
            f'the engine "{engine.name}" runs on the CPU only; a device goes with the engine '
            f"{' or '.join(with_devices())}"
        )
    return engine._replace(device=device)
