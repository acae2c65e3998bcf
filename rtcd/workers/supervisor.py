"""`Supervisor`: the parent. It starts workers, keeps their sockets and rooms, and starts those again that have ended.

It takes no part in any call. What an operator does to it, as to the one process, reaches all of them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtcd import __version__, log
from rtcd.config import ConfigError
from rtcd.daemon import in_force
from rtcd.fault import AlreadySaid
from rtcd.metrics import Metrics, Sample
from rtcd.privileges import Owner, let_go
from rtcd.systemd import STOP_S, NotifyService
from rtcd.together import cannot_share
from rtcd.workers.command import cannot_run
from rtcd.workers.configuration import packed
from rtcd.workers.exchange import Exchange
from rtcd.workers.frames import PARENT, Ask, Reloaded, encode
from rtcd.workers.groups import Groups
from rtcd.workers.process import Command, Process
from rtcd.workers.restarts import Restarts

KILL_S = STOP_S - 3.0
"""Workers that have not ended so long after they were told to are ended: systemd would do it a little later."""

Read = Callable[[], Mapping[str, Any]]


class Rooms:
    """What the workers' rooms need of the parent: nothing, if they are kept elsewhere."""

    def start(self) -> None:
        """Workers may come. Raises ConfigError."""

    def end(self) -> None:
        """The daemon ends: rooms end with their workers, and do not go on elsewhere."""

    def stop(self) -> Any:
        """No worker is left; perhaps a Deferred."""


class Supervisor(MultiService):
    """``command(number, descriptor, greet)`` is how a worker is started; ``greet`` is true for the first start of the first
    one. ``read`` reads the configuration again, see `rtcd.daemon`."""

    name = "rtcd"
    _log = Logger()

    def __init__(
        self, reactor: Any, file: str, count: int, command: Callable[[int, int, bool], Command], read: Read,
        settings: Mapping[str, Any], notify: NotifyService, metrics: Metrics, rooms: Rooms,
        make: Callable[..., Process] = Process, own: Callable[[], Iterable[Sample]] = tuple,
        owner: Owner | None = None,
    ) -> None:
        """``own``: the figures of this process; those of ``metrics`` are of the daemon. ``owner``: who it becomes."""
        super().__init__()
        turn = settings.get("turn")
        self._keeps_rights = turn is not None and turn.relay_plane != "python"
        self._reactor = reactor
        self._file = file
        self._command = command
        self._read = read
        self._settings = dict(settings)
        self._configuration = self._reloaded = packed(settings)
        """What every worker starts with, which is what is in force, and what all were told to take last: of that it takes
        what goes without a restart, as the others did."""
        self._in_force = dict(settings)
        self._notify = notify
        self._rooms = rooms
        self._make = make
        self._groups = Groups(count, owner)
        self.exchange = Exchange(reactor, count, metrics, own)
        self.exchange.answers |= {"daemon.reload": self.reload, "daemon.drain": self._drain_told}
        self._restarts = {number: Restarts() for number in range(1, count + 1)}
        self._ends = metrics.counter("daemon", "worker_ends", "Workers that have ended and were started again.")
        for number in self._restarts:
            metrics.gauge("daemon", "worker_up", "1 if this worker is ready.",
                          lambda number=number: number in self.exchange.up(),  # type: ignore[misc] # bound now
                          worker=str(number))
        self._calls: dict[int, Any] = {}
        """The next starts of workers that have ended."""
        self._handlers: dict[int, Any] = {}
        self._greeted = False
        self._served = False
        """Whether all workers have been ready once."""
        self.draining = False
        self._limit: Any = None
        """When draining is over."""
        self._ending = False
        self._all_gone: Deferred[None] | None = None
        self._kill: Any = None

    def privilegedStartService(self) -> None:
        """Start the first worker, which opens every port, and then the others. Raises `AlreadySaid`, and ConfigError."""
        self._handle(signal.SIGHUP, lambda: Deferred.fromCoroutine(self.reload()).addErrback(
            lambda failure: self._log.failure("the reload failed", failure)))
        self._handle(signal.SIGUSR1, self.drain)
        super().privilegedStartService()
        self._rooms.start()
        first = self._start(1)
        self._wait(first, "bound")
        for number in self._restarts:
            if number != 1:
                self._start(number)

    def startService(self) -> None:
        """Go on in the reactor, when the first worker has started. Raises `AlreadySaid`."""
        self._reactor.callWhenRunning(self._handle_term)
        super().startService()
        if not self._keeps_rights:  # a worker that is started again takes them for the kernel, and lets go of them then
            try:
                let_go()
            except OSError as error:
                self._log.warn("capabilities that are not needed any more are kept: {reason}", reason=error.strerror)
        self._wait(self.exchange.processes[1], "started")
        for process in self.exchange.processes.values():
            process.begin()

    def stopService(self) -> Deferred[None]:
        """End every worker; fires when all have ended."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.running = False
        self._ending = True
        self._forget_starts()
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        await super().stopService()
        processes = self.exchange.processes
        if processes:
            self._all_gone = Deferred()
            self._rooms.end()
            for one in processes.values():
                if one.state == "starting":  # it would not hear us
                    one.kill()
                one.do("stop")
            self._kill = self._reactor.callLater(KILL_S, self._kill_all)
            await self._all_gone
            if self._kill.active():
                self._kill.cancel()
        self._groups.close()
        self.exchange.close()
        stopped = self._rooms.stop()
        if stopped is not None:
            await stopped
        for number, before in self._handlers.items():
            signal.signal(number, before)
        self._handlers.clear()

    async def reload(self, _: Ask | None = None) -> list[str]:
        """Read the configuration again, and let every worker do so. Returns the lines that they log, each once; who has not
        answered in time goes on with it, and is named."""
        if not self.running:
            return []
        self._notify.reloading()
        said: list[str] = []
        try:
            found = self._read()
            for fault in cannot_share(found, len(self._restarts)):
                raise fault
            self._take(found)
            self._reloaded = packed(found)
            asked = self.exchange.up()
            for number in asked:
                self.exchange.processes[number].configuration = self._reloaded
            for number, answer in enumerate(await self.exchange.ask_all("daemon.reload", self._reloaded, Reloaded), 1):
                lines = answer.said if answer is not None else []
                if answer is not None:
                    self._put_in_force(found, answer.applied)
                elif number in asked:
                    lines = [f"worker {number} has not answered in time; its log says what came of it"]
                said += [one for one in lines if one not in said]
        except ConfigError as error:
            said.append(f"{error.said(self._file)} (nothing was changed)")
            self._log.error("{line}", line=said[-1])
        finally:
            self._notify.ready()
        return said

    def drain(self) -> None:
        """Let every worker take nothing new; the daemon ends when nothing goes on in any of them (SIGUSR1)."""
        self._begin_drain(ending=False)

    def _drain_told(self, _: Ask) -> bool:
        self.drain()
        return True

    def _take(self, found: Mapping[str, Any]) -> None:
        """What is ours: where the log goes, and how long a drain may take."""
        new = found["log"]
        if log.in_use():
            try:
                log.use(new)
            except ConfigError as error:
                self._log.error("{file}: {reason} (the section stays as it was)", file=self._file, reason=str(error))
            else:
                self._settings["log"] = new
        self._settings["daemon"] = found["daemon"]

    def _put_in_force(self, found: Mapping[str, Any], applied: Mapping[str, list[str]]) -> None:
        """A worker has taken this: what was before may not even be there any more, such as the file of a certificate."""
        for section, keys in applied.items():
            self._in_force[section] = in_force(self._in_force[section], found[section], keys)
        self._configuration = packed(self._in_force)

    def _start(self, number: int) -> Process:
        self._calls.pop(number, None)
        process = self._make(
            self._reactor, number, self._groups, self.exchange.questions, said=self._said, asked=self.exchange.asked,
            ended=self._ended)
        greet = number == 1 and not self._greeted
        self._greeted = self._greeted or greet
        try:
            process.start(lambda descriptor: self._command(number, descriptor, greet), self._configuration)
        except PermissionError:
            raise cannot_run() from None
        except OSError as error:
            raise ConfigError("daemon", "workers", f"worker {number} cannot be started ({error.strerror}); raise the limits "
                              "of processes and descriptors, or have fewer") from None
        self.exchange.processes[number] = process
        return process

    def _wait(self, first: Process, what: str) -> None:
        fault: Exception = AlreadySaid()
        try:
            if first.wait_for(what, self._reactor.seconds):
                return
        except TimeoutError as error:
            fault = ConfigError("daemon", "workers", f"{error}; see what the machine is busy with, and start it again")
        for one in self.exchange.processes.values():
            one.kill()
        self._groups.close()
        raise fault

    def _said(self, process: Process, what: str) -> None:
        if what in ("started", "ready") and process.configuration != self._reloaded:  # the one is before anybody comes to it
            process.configuration = self._reloaded
            process.tell(Ask(0, PARENT, "daemon.reload", encode(self._reloaded)))
        if what == "ready":
            self._log.info("worker {number} is ready, process {pid}", number=process.number, pid=process.pid)
            if self.draining:
                process.do("drain")
            if not self._served and len(self.exchange.up()) == len(self._restarts):
                self._served = True
                self._groups.settle()
                self._log.info("rtcd {version} is ready, with {count} workers", version=__version__,
                               count=len(self._restarts))
                self._notify.setServiceParent(self)
        elif what == "drained":
            self._look_drained()
        elif what == "shut":
            self._refuse(process.number)

    def _ended(self, process: Process, code: int) -> None:
        number = process.number
        self.exchange.gone(number)
        if self._ending:
            self._refuse(number)
            if not self.exchange.processes and self._all_gone is not None:
                done, self._all_gone = self._all_gone, None
                done.callback(None)
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self.draining:
            self._log.error("worker {number} has ended ({how}) while the daemon drains; it is not started again",
                            number=number, how=how)
            self._groups.rest(number)
            self._look_drained()
            return
        well_s = self._reactor.seconds() - process.ready_at if process.ready_at else 0.0
        delay_s = self._restarts[number].after(well_s)
        self._ends.value += 1
        self._log.error("worker {number} has ended ({how}); it is started again{when}", number=number,
                        how=how, when=f" in {delay_s:g} s" if delay_s else "")
        self._wait_for_start(number, delay_s)

    def _wait_for_start(self, number: int, delay_s: float) -> None:
        if delay_s:
            self._groups.rest(number)
        self._calls[number] = self._reactor.callLater(delay_s, self._start_again, number)

    def _start_again(self, number: int) -> None:
        try:
            self._start(number).begin()
        except ConfigError as error:
            self._log.error("{reason}", reason=str(error))
            self._wait_for_start(number, self._restarts[number].after(0.0))

    def _refuse(self, number: int) -> None:
        """It accepts nothing any more: who comes shall hear that and not wait, nor for what is one for all when all end."""
        self._groups.rest(number)
        if self._ending and all(one.state in ("shut", "gone") for one in self.exchange.processes.values()):
            self._groups.close()

    def _handle(self, number: int, act: Callable[[], object]) -> None:
        before = signal.signal(number, lambda *_: self._reactor.callFromThread(act))
        self._handlers.setdefault(number, before)

    def _handle_term(self) -> None:
        if self.running:
            self._handle(signal.SIGTERM, self._told_to_end)

    def _told_to_end(self) -> None:
        if self.running and not self.draining and self._settings["daemon"].drain_timeout:
            self._begin_drain(ending=True)
        else:
            self._end()

    def _begin_drain(self, *, ending: bool) -> None:
        if self.draining or not self.running:
            return
        self.draining = True
        self._rooms.end()
        limit_s = self._settings["daemon"].drain_timeout
        self._notify.draining(limit_s, ending=ending)
        if limit_s:  # of the whole, whenever a worker has begun
            self._limit = self._reactor.callLater(limit_s, self._drain_over, limit_s)
        self._forget_starts()
        for one in self.exchange.processes.values():
            one.do("drain")
        self._look_drained()

    def _look_drained(self) -> None:
        if self.draining and all(one.state == "drained" for one in self.exchange.processes.values()):
            self._log.info("drained: nothing goes on in any worker")
            self._end()

    def _drain_over(self, limit_s: float) -> None:
        self._log.info("draining has taken {limit_s:g} s, which is its limit: what goes on is ended", limit_s=limit_s)
        self._end()

    def _forget_starts(self) -> None:
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    def _end(self) -> None:
        if self.running and not self._ending:
            self._ending = True
            self._reactor.stop()

    def _kill_all(self) -> None:
        for one in self.exchange.processes.values():
            self._log.warn("worker {number} does not end; it is killed", number=one.number)
            one.kill()
