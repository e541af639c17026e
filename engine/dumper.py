"""The dump, as a story: check, prepare, freeze, collect, write, let go.

Two promises: a dump that fails, or is killed, leaves the processes as they were; and nothing is reported as saved
that is not: inventory.img, without which no restore begins, is written last.
"""

from __future__ import annotations

from engine import rehearsal, resources, stats
from engine.errors import AmberError, KernelError, Refused
from engine.frozen import FrozenTask, FrozenTree, Running
from engine.kernel.freeze import Freezer
from engine.kernel.freezer import FreezerGroup
from engine.kernel.home import Home
from engine.kernel.inject import Injection, cure, find_gadgets, is_arena, quiet_signal, run
from engine.kernel.proc import ProcDir
from engine.kernel.threads import look
from engine.log import SILENT
from engine.options import DumpOptions, DumpResult
from engine.plan.listing import listing
from engine.questions import Forms
from engine.quiet import NoCollection
from engine.rehearsal import Nowhere
from engine.resources import cgroups, inventory, namespaces
from engine.resources.files.table import Registry
from engine.resources.memory import contents, shared, vdso
from engine.resources.memory import mappings as memory_mappings
from engine.resources.task import futexes, ids, seccomp, tree
from engine.room import Room, visit
from engine.scripts import Hooks
from engine.stats import Timings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.log import Log


def dump(options: DumpOptions, room: Room | None = None) -> DumpResult:
    """Saves the tree of `options.pid` into `options.images_dir`, in `room` if that was made already.

    Raises Refused with every obstacle of the tree, AmberError for what the user can mend; the tree then runs on.
    """
    if options.explain:
        return _explain(options)
    room = Room.make(options) if room is None else room
    timings = Timings()
    try:
        status = _dump_into(room, options, timings)
    finally:
        room.images.close()
    directory = options.images_dir if options.work_dir is None else options.work_dir
    stats.write(directory, timings.dump_stats(), options.log)
    return DumpResult(options.pid, timings.dump_stats(), status)


def _dump_into(room: Room, options: DumpOptions, timings: Timings) -> int:
    """Returns the status of a post-dump script that wants the tree to run on. A dump that fails leaves no image."""
    images = room.images
    frozen = _new_tree(options, room, timings)
    hooks = Hooks(options.action_scripts, options.notify, images.fd, options.log)
    try:
        hooks.reached("pre-dump", options.pid)
        _prepare(frozen)
        return _freeze_and_save(frozen, hooks)
    except BaseException:
        try:
            room.close()
        finally:
            images.discard()
        raise


def _explain(options: DumpOptions) -> DumpResult:
    """What each task would be asked. The tree is frozen and looked at; nothing runs in it, and nothing is written."""
    nowhere = Nowhere()
    frozen = _new_tree(options, Room(nowhere), Timings())
    freezer = Freezer(options.pid, options.timeout)
    freezer.freeze()
    try:
        with freezer:
            frozen.tasks = [FrozenTask(frozen, process) for process in freezer.processes]
            _look_and_ask(frozen)
    finally:
        nowhere.close()
    text = "\n".join(text for task in frozen.alive for text in listing(task.form.plan))
    return DumpResult(options.pid, frozen.timings.dump_stats(), listing=text)


def _new_tree(options: DumpOptions, room: Room, timings: Timings) -> FrozenTree:
    tree = FrozenTree(options, room, timings)
    tree.registry = Registry(tree, resources.FILES)
    tree.forms = Forms(resources.TASK)
    return tree


def _rehearse(log: Log) -> None:
    """Tells the story once of a task that nobody misses, so that no code runs for the first time in the freeze."""
    if not rehearsal.needed():
        return
    nowhere = Nowhere()
    with rehearsal.Understudy() as pid:
        understudy = _new_tree(DumpOptions(pid, shell_job=True), Room(nowhere), Timings())
        try:
            if pid:
                _prepare(understudy)
                _freeze_and_save(understudy, Hooks((), None, -1, SILENT))
        except AmberError as error:  # the only price is time
            log.warning(f"the rehearsal failed, so the tree will be frozen for longer: {error}")
        finally:
            understudy.room.close()
            nowhere.close()


def _freeze_and_save(frozen: FrozenTree, hooks: Hooks) -> int:
    """The time that users feel. Returns the status of a post-dump script that wants the tree to run on."""
    options, timings = frozen.options, frozen.timings
    group = FreezerGroup(options.freeze_cgroup) if options.freeze_cgroup is not None else None
    freezer = Freezer(options.pid, options.timeout, group)
    with timings.span("freezing_time"):
        freezer.freeze()
    with freezer:
        with timings.span("frozen_time"), NoCollection():
            frozen.tasks = [FrozenTask(frozen, process) for process in freezer.processes]
            threads = sum(len(task.threads) for task in frozen.tasks)
            options.log.info(f"frozen: {len(frozen.tasks)} processes, {threads} threads")
            status = _save(frozen, hooks)
            frozen.images.keep()
            _let_go(options, freezer, refused=status != 0)
        frozen.room.close()  # while the processes that were killed come to their ends
    return status


def _save(frozen: FrozenTree, hooks: Hooks) -> int:
    """From the facts to the images. The network stays locked only if the tree is complete and does not run on."""
    options, status = frozen.options, -1
    try:
        hooks.reached("network-lock", options.pid)
        _collect(frozen)
        options.log.info("collected: every process has answered and is as it was")
        _write(frozen)
        frozen.room.seal()
        options.log.info("written: the images are complete")
        status = hooks.reached("post-dump", options.pid)
    finally:
        if status or options.leave_running:
            hooks.reached("network-unlock", options.pid)
    return status


def _prepare(frozen: FrozenTree) -> None:
    """What can be done while the tree runs: reserve room for the pages, describe what will probably still be there,
    find the code to borrow."""
    frozen.room.reserve_tree(frozen.options.pid)
    _rehearse(frozen.options.log)
    visit(frozen.options.pid, lambda proc: _expect(frozen, proc))
    frozen.room.settle()


def _expect(frozen: FrozenTree, proc: ProcDir) -> None:
    threads = len(proc.tasks())
    frozen.forms.prepare(threads)
    try:
        mappings = proc.smaps()
        frozen.reader.expect(len(mappings), threads)
        running = Running(frozen, proc.pid, proc, [])
        frozen.registry.expect(running)
        memory_mappings.expect(running, mappings)
        frozen.gadgets[proc.pid] = find_gadgets(proc.pid, [detailed.mapping for detailed in mappings])
    except (Refused, KernelError):  # it is about to exec or to exit; what is still there in the freeze is asked again
        return


def _collect(frozen: FrozenTree) -> None:
    """Facts from outside, then one plan in each task, then everything into messages. Refuses all at once."""
    _look_and_ask(frozen)
    _interrogate(frozen)
    if frozen.obstacles:
        raise Refused(frozen.obstacles)


def _look_and_ask(frozen: FrozenTree) -> None:
    """What can be seen from outside, and the plans of what only the tasks can tell."""
    frozen.reader.read((task.proc, [thread.tid for thread in task.threads]) for task in frozen.alive)
    ids.collect_tree(frozen)
    namespaces.collect_tree(frozen)
    cgroups.collect_tree(frozen)
    _look_at_threads(frozen)
    for task in frozen.tasks:
        _look(task)
    frozen.obstacles += tree.check(frozen)
    frozen.registry.collect(frozen.alive)
    if not frozen.registry.is_still_true():
        frozen.known_mappings.clear()
    for task in frozen.tasks:
        _collect_from(task)
    named = frozen.options.explain or frozen.options.step
    for task in frozen.alive:
        task.form = frozen.forms.form_for(task, named)
    if frozen.obstacles:
        raise Refused(frozen.obstacles)


def _look_at_threads(frozen: FrozenTree) -> None:
    """What ptrace tells, of all threads at once."""
    threads = [thread for task in frozen.alive for thread in task.threads]
    for thread, facts in zip(threads, look([thread.tid for thread in threads]), strict=True):
        thread.facts, thread.home = facts, Home(facts.registers, facts.xstate, facts.mask)
        futexes.leave_critical_section(thread)


def _look(task: FrozenTask) -> None:
    """What every resource needs to know."""
    if task.threads:
        _look_at_mappings(task)
        if _leave_vdso(task):  # what was read ahead is not true any more
            task.proc.held.clear()
            _look_at_mappings(task)
        task.status = task.proc.status()
    task.stat = task.proc.stat()
    for thread in task.threads:
        if any(arena.start <= thread.home.registers["rip"] < arena.end for arena in task.left):
            reason = "it is still on its way home from an engine that was killed"
            task.refuse(str(thread), reason, "try again; a stopped task must first be continued with SIGCONT")
        thread.status = task.status if thread is task.leader else task.thread_status(thread.tid)


def _look_at_mappings(task: FrozenTask) -> None:
    mappings = task.proc.smaps()
    task.left = [m.mapping for m in mappings if is_arena(m.mapping)]
    task.mappings = [m for m in mappings if m.mapping not in task.left]


def _leave_vdso(task: FrozenTask) -> bool:
    """Whether a thread had to be led out of it."""
    code = vdso.code_of(task)
    moved = [thread for thread in task.threads if vdso.leave(thread, code)]
    for thread in moved:
        thread.home = Home.of(thread.tracee)
    return bool(moved)


def _collect_from(task: FrozenTask) -> None:
    """What every resource sees from outside. Of a zombie little is left."""
    for module in resources.TASK:
        if (collect := getattr(module, "collect", None)) and (task.threads or module is tree):
            collect(task)
        if collect := getattr(module, "collect_thread", None):
            for thread in task.threads:
                collect(thread)


def _halt_signal(task: FrozenTask) -> int:
    caught = blocked = pending = 0
    for thread in task.threads:
        status = thread.status
        caught, blocked = caught | status.caught, blocked | status.blocked
        pending |= status.pending | status.shared_pending
    return quiet_signal(caught, blocked, pending)


def _interrogate(frozen: FrozenTree) -> None:
    """The plans run, the answers go into the messages, and the tasks are as they were."""
    injections: list[Injection] = []
    try:
        for task in frozen.alive:
            injections.append(_injection(task))
        if frozen.options.step:
            for injection in injections:
                injection.step(frozen.options.log.message)
        else:
            run(injections)
        for task, injection in zip(frozen.alive, injections, strict=True):
            with injection.answers() as task.answers:
                task.form.heard_by(task)
    except BaseException:
        try:
            cure(injections)
        except AmberError as error:  # what went wrong first says more
            frozen.options.log.warning(str(error))
        raise
    cure(injections)


def _injection(task: FrozenTask) -> Injection:
    homes = {thread.tid: thread.home for thread in task.threads}
    maps = [detailed.mapping for detailed in task.mappings]
    gadgets = task.tree.gadgets.get(task.pid) or find_gadgets(task.pid, maps)
    injection = Injection([thread.tracee for thread in task.threads], homes, gadgets, maps)
    injection.left, injection.form, injection.halt = task.left, task.form, _halt_signal(task)
    return injection


def _write(frozen: FrozenTree) -> None:
    """Every image; the inventory last, because without it the rest is no dump."""
    images = frozen.images
    seccomp.write(frozen)
    for number, task in enumerate(frozen.tasks):
        frozen.options.progress.show(f"writing images of {len(frozen.tasks)} processes", number, len(frozen.tasks))
        frozen.options.log.debug(f"pid {task.pid}: {len(task.threads)} threads, {len(task.mm.vmas)} mappings")
        _write_task(task)
    shared.write(frozen)
    frozen.registry.write()
    cgroups.write(frozen)
    images.post("PSTREE", None, [tree.entry(task) for task in frozen.tasks])
    images.flush()
    images.write("INVENTORY", None, [inventory.collect(frozen)])


def _write_task(task: FrozenTask) -> None:
    images = task.tree.images
    images.post("CORE", task.pid, [task.core])
    if not task.threads:
        return
    for thread in task.threads[1:]:
        images.post("CORE", thread.tid, [thread.core])
    images.post("IDS", task.pid, [task.ids])
    images.post("MM", task.pid, [task.mm])
    images.post("FS", task.pid, [task.fs])
    images.post("FDINFO", task.ids.files_id, task.tree.registry.entries(task))
    contents.write(task)


def _let_go(options: DumpOptions, freezer: Freezer, refused: bool) -> None:
    """The images are complete: what was asked for happens to the tree."""
    if options.leave_stopped and not refused:
        freezer.stop()
    elif options.leave_running or refused:
        freezer.thaw()
    else:
        freezer.kill()
