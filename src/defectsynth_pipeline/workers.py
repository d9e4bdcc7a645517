"""Work spread over processes of this machine: one per card, or one thread of one per core.

Two processes of one thread each do more than one of two threads: most of what is done here is too
small to be split. What a process gives back is what any other would, so that a result depends on
how many there are in nothing but its time.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import count as count_from
from pathlib import Path
from typing import IO, Any, TypeAlias

import cloudpickle
import psutil
import torch
from threadpoolctl import threadpool_limits

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ExecutionOptions

Map: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
RELAUNCHES = 3  # of what lost a worker
MEMORY = 2 << 30  # bytes that a worker without a card may come to need
_MOST = 8  # chosen by itself; more only where they are asked for
_PRELOADED = ["__main__", "defectsynth_pipeline.certificate.judging"]


def count_workers(options: ExecutionOptions) -> int:
    """How many processes there are: as asked, else one per card, or per core that memory is for."""
    if options.workers is not None:
        return options.workers
    if cards := count_cards():
        return cards
    room = psutil.virtual_memory().available // MEMORY
    return max(1, min(torch.get_num_threads(), room, _MOST))


def count_cards() -> int:
    """GPUs that torch can use here."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Work as a worker does: sums over several threads may differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def crew(options: ExecutionOptions, *, on_cards: bool = False) -> Iterator[Map]:
    """Give what calls a function with every item, as `map` does, in several processes.

    The results come in the items' order; all that goes to a process and back can be pickled.

    Args:
        options: Which processes: of this machine, or the nodes of a Ray cluster.
        on_cards: Whether each may have a card to itself; if not, and there are cards, this process
            calls the function.

    Raises:
        InputError: A process was lost, or Ray is not installed.
    """
    workers = count_workers(options) if on_cards or not count_cards() else 1
    if options.engine == "ray":
        yield partial(_mapped_by_ray, workers)
        return
    if workers == 1:
        with one_thread():
            yield map
        return
    with tempfile.TemporaryDirectory() as folder, pool(workers) as processes:
        numbers = count_from()

        def mapped(call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            path = hand_over(call, Path(folder) / f"{next(numbers)}.pt")
            return processes.map(partial(_called, path), items)

        try:
            yield mapped
        except BrokenProcessPool as error:
            raise lost(workers) from error


def start_ray(workers: int) -> Any:
    """Ray's module, connected to the cluster of `RAY_ADDRESS` or to one of this machine.

    Raises:
        InputError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed",
            value="execution.engine = ray",
            remedy="pip install 'defectsynth-pipeline[ray]', or use the engine local",
        ) from error
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        cores = None if address else workers
        ray.init(address=address, include_dashboard=False, num_cpus=cores)
    return ray


def as_task(ray: Any, call: Callable[..., Any]) -> Any:
    """A task of a core and, where there are any, a card; if its node is lost another takes it."""
    cards = min(1, count_cards())
    return ray.remote(num_cpus=1, num_gpus=cards, max_retries=RELAUNCHES)(call)


def _mapped_by_ray(workers: int, call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    ray = start_ray(workers)
    with tempfile.TemporaryDirectory() as folder:
        data = ray.put(hand_over(call, Path(folder) / "call.pt").read_bytes())
    task = as_task(ray, _called_with)
    try:
        yield from map(ray.get, [task.remote(data, item) for item in items])
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        raise lost(workers) from error


def _called_with(data: bytes, item: Any) -> Any:
    torch.set_num_threads(1)
    return unpacked(data)(item)


@lru_cache(maxsize=1)
def unpacked(data: bytes) -> Any:
    """What was handed over to this process as bytes, unpacked once."""
    return unpack(io.BytesIO(data))


def _called(path: Path, item: Any) -> Any:
    return handed(path)(item)


def hand_over(thing: Any, path: Path) -> Path:
    """Write what another process is to `handed`; networks and closures may be in it."""
    torch.save(thing, path, pickle_module=cloudpickle)
    return path


@lru_cache(maxsize=1)
def handed(path: Path) -> Any:
    """Read what was handed over to this process, once."""
    return unpack(path)


def unpack(source: Path | IO[bytes]) -> Any:
    """Read what `hand_over` wrote; networks come to this process's card, where it has one."""
    where = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.load(source, map_location=where, weights_only=False)


def lost(workers: int) -> InputError:
    """What to tell of a process that ended by itself."""
    return InputError(
        "a worker process was lost: it was killed, or the memory did not suffice",
        value=f"{workers} workers",
        remedy="run the same command again with fewer: --params=execution.workers=1",
    )


def launch(call: Callable[..., Any], given: tuple[Any, ...], workers: int, name: str) -> list[Any]:
    """Call a function in processes that torch's elastic launcher starts; return what each gave.

    When one is lost, all of them begin anew.

    Raises:
        InputError: A process failed, again and again.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=workers,
        run_id=name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=RELAUNCHES,
        start_method="spawn",
    )
    try:
        return list(elastic_launch(config, call)(*given).values())
    except ChildFailedError as error:
        raise InputError(
            "a worker of torch's launcher failed",
            value=_told(next(iter(error.failures.values())).message),
            remedy="see what it says above; what is finished is kept",
        ) from error


def _told(message: Any) -> str:
    """What a worker of the launcher said last: a text, or a mapping that has one."""
    return str(message["message"] if isinstance(message, Mapping) else message)


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes that log as this one does and end with it."""
    context = _context()
    told, cards = context.Queue(), context.Queue()
    known = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count_cards())))
    for number in range(workers):
        cards.put(known.split(",")[number % len(known.split(","))])
    listener = logging.handlers.QueueListener(told, _Forward())
    listener.start()
    level = logging.getLogger("defectsynth_pipeline").getEffectiveLevel()
    processes = ProcessPoolExecutor(
        workers, context, initializer=_begin, initargs=(cards, told, level)
    )
    try:
        yield processes
        processes.shutdown()
    except BaseException:
        processes.shutdown(wait=False, cancel_futures=True)
        for process in list((processes._processes or {}).values()):
            process.terminate()
        raise
    finally:
        listener.stop()


class _Forward(logging.Handler):
    """Gives a worker's record to the logger it was meant for."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


def _context() -> Any:
    """Processes are forked from one that has imported what they need, and holds no lock."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _begin(cards: Any, told: Any, level: int) -> None:
    """Set a worker up: its card, its thread, its log, and its end with the run's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run is asked, and ends its workers
    os.environ["CUDA_VISIBLE_DEVICES"] = cards.get()  # before CUDA is first asked for anything
    torch.set_num_threads(1)
    threadpool_limits(1)
    root = logging.getLogger()
    root.handlers = [logging.handlers.QueueHandler(told)]
    logging.getLogger("defectsynth_pipeline").setLevel(level)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
