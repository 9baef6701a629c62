"""Where a run's folder lies, here or in an object store, and whether a training may begin or go on in it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fireweed.devices.hosts import Hosts
from fireweed.errors import RunError, StoreError
from fireweed.files import explained
from fireweed.mirror import Mirror, is_address, mirrored, place_of
from fireweed.reporting import Reporter
from fireweed.run import RunFacts, RunFolder


@contextmanager
def run_folder(
    out: str | None, name: str, hosts: Hosts, reporter: Reporter
) -> Iterator[tuple[RunFolder, Callable[[], None]]]:
    """Give the folder of a run, and what to call when something was written there that should outlast this machine.

    out:  a folder, an address in an object store, whose working folder is then given, or None: runs/NAME.
    name: of a run that has no `out`.

    Raises:
        RunError: the store has another state than this process left, or what is there is damaged.
        StoreError: the store cannot be read at the start, or written at the end.
    """
    folder = RunFolder(place_of(out) if out else Path("runs") / name)
    if out is None or not is_address(out):
        yield folder, lambda: None
        return
    with ExitStack() as held:
        mirrors: list[Mirror] = []  # of host 0 alone
        hosts.settle(lambda: mirrors.append(held.enter_context(mirrored(out))))

        def save() -> None:
            try:
                mirrors[0].push()
            except StoreError as error:
                reporter.warn(f"{error}; training goes on, and the next checkpoint tries again")

        try:
            yield folder, save
        except BaseException:
            with suppress(RunError):
                for mirror in mirrors:
                    mirror.push()
            raise
        for mirror in mirrors:
            mirror.push()
            reporter.say(f"the run lies in {out}, a working copy of it in {folder.path}")


def local_path(path: str | Path) -> Path:
    """Return where a run or bundle lies on this machine; one in an object store is fetched.

    Raises:
        RunError: another process works on it, or it is damaged.
        StoreError: the store cannot be read.
    """
    if not is_address(str(path)):
        return place_of(path)
    with mirrored(str(path)) as mirror:
        return mirror.folder


def is_finished(folder: RunFolder, facts: RunFacts) -> bool:
    """Return whether the run has finished, having made sure that it may begin or go on if not."""
    folder.check_usable(facts)
    if folder.is_finished:
        folder.drop_features()  # they are there where it was killed just before it would have
        return True
    _check_writable(folder)
    return False


def take(folder: RunFolder, held: ExitStack) -> None:
    """Make the folder and keep other processes from training there; one that stays empty goes again."""
    is_new = not folder.path.exists()
    folder.make()
    held.enter_context(folder.alone())
    if is_new:
        held.callback(folder.drop_if_empty)


def how_to_go_on(folder: RunFolder) -> str:
    """Return what the same command will do after this one was stopped."""
    if folder.has_checkpoint:
        return "goes on from the last checkpoint"
    return "goes on with the features it has" if folder.has_features else "begins anew: there is no checkpoint yet"


def _check_writable(folder: RunFolder) -> None:
    """Find out before training, not after it, that the folder cannot be written."""
    existing = folder.path.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise explained(error, folder.path) from error
