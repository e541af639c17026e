"""The restore, as a story: read, plan, run, finish.

If anything fails before the last step, nothing is left behind: every task dies with the engine until it is released.
"""

from __future__ import annotations

import os
import resource

from engine import pidfile, resources, stats
from engine.images.directory import ImageDir
from engine.kernel.skeleton import Role, Troupe
from engine.options import RestoreResult
from engine.plan import rules
from engine.plan.listing import listing
from engine.plan.place import find_hole
from engine.plan.verify import verify
from engine.quiet import NoCollection
from engine.rebuild import NewTree
from engine.resources import foreign, inventory, stages
from engine.resources.cgroups import Groups
from engine.resources.files.opener import Opener
from engine.resources.memory import inherit, mappings, shared
from engine.resources.task import seccomp, signals, state, tree
from engine.scripts import Hooks
from engine.signals import signal
from engine.stats import Timings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.options import RestoreOptions


def restore(options: RestoreOptions) -> RestoreResult:
    """Brings the tree of `options.images_dir` back to life.

    Raises ImageError, Refused or another AmberError; then no task of it exists.
    """
    timings = Timings()
    with timings.span("restore_time"), NoCollection(), ImageDir.open(options.images_dir) as images:
        new = NewTree(options, images, timings)
        inventory.check(new)
        _plan(new)
        if options.explain:
            text = "\n".join(listing(new.plan)) + "\n"
            return RestoreResult(new.root.pid, timings.restore_stats(), text)
        options.log.info(f"planned: {len(new.tasks)} processes, {sum(len(a.ops) for a in new.plan.actors)} calls")
        _run(new)
        options.log.info("released: the tree runs")
    directory = options.images_dir if options.work_dir is None else options.work_dir
    stats.write(directory, timings.restore_stats(), options.log)
    return RestoreResult(new.root.pid, timings.restore_stats())


def _plan(new: NewTree) -> None:
    """Every resource's steps, in one order, and a place for the arena that no task needs."""
    _raise_limits()
    new.opener = Opener(new, resources.FILES)
    foreign.check(new)
    new.plan.halt = signals.free_signal(new)
    tree.prepare(new)
    inherit.plan(new)
    areas = [area for task in new.alive for area in mappings.areas(task)]
    room = shared.largest(new)
    new.scratch = find_hole(areas, room)
    tree.restore(new)
    new.groups = Groups(new)
    new.groups.plan()
    for task in new.alive:
        new.opener.share(task)
        for module in resources.TASK:
            if hasattr(module, "restore") and module is not tree:
                module.restore(task)
            if hasattr(module, "restore_thread"):
                for thread in task.threads:
                    module.restore_thread(thread)
        new.opener.restore(task)
        for thread in task.threads:
            with thread.step(stages.DONE, "") as step:
                step.halt()
    new.graph.order()
    scratch = mappings.Area(new.scratch, new.scratch + room)
    new.base = find_hole([*areas, scratch], new.plan.layout())
    verify(new.plan, rules.of_restore(new, scratch))


def _raise_limits() -> None:
    """Staging numbers need room; the tasks' own limits are set in the end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(new: NewTree) -> None:
    options, root = new.options, new.root.pid
    hooks = Hooks(options.action_scripts, options.notify, new.images.fd, options.log)
    hooks.reached("pre-restore")
    options.progress.show(f"restoring {len(new.tasks)} processes")
    roles = [Role(task.pid, thread.tid, thread.actor) for task in new.alive for thread in task.threads]
    with new.groups.made(), Troupe(new.plan, new.base, roles, seccomp.options(new)) as troupe:
        with new.opener.giving() as given:
            troupe.play(given, new.opener.staging, options.log.message if options.step else None)
        new.groups.move_threads()
        _finish(new, troupe)
        hooks.reached("post-restore", root)
        hooks.reached("network-unlock", root)
        if options.pidfile is not None:
            pidfile.write(options.pidfile, root)
        hooks.reached("pre-resume", root)
        troupe.release()
    hooks.reached("post-resume", root)


def _finish(new: NewTree, troupe: Troupe) -> None:
    """The arena goes, then registers come; from here the tasks are themselves, though stopped."""
    template = troupe.tracees[new.root.pid].xstate()
    threads = [thread for task in new.alive for thread in task.threads]
    troupe.remove_arena([task.pid for task in new.alive])
    for thread in threads:
        state.set_tls(thread, troupe.tracees[thread.tid])
    troupe.set_states({thread.tid: state.home_of(thread, template) for thread in threads})
    if new.options.leave_stopped:
        for task in new.alive:
            os.kill(task.pid, signal.SIGSTOP)
