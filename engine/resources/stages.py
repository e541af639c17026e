"""The stages of a restored task's life, in the order in which they come.

The order is the kernel's: each line says what it must follow or precede.
"""

from __future__ import annotations

(
    BORN,  # the old world is unmapped; needs nothing
    SHARE,  # descriptors that descendants share: before they are born
    OUTSIDE,  # children that stayed in the parent's old session: before its setsid
    SESSION,  # setsid: before the children of the new session
    CHILDREN,  # children that share no memory: before the parent's memory exists, so that fork is cheap
    MAP,  # mappings, writable for now
    FILL,  # their contents
    HEIRS,  # children whose pages are the parent's own (copy-on-write): after the contents
    SETTLE,  # final protections and advice, struct mm, exe: after the contents
    OPEN,  # the task's own descriptors, each at its number
    PLACE,  # /proc and such that need the whole tree
    FS,  # working directory, root, umask: after the last path was opened
    GROUP,  # process group: after its leader exists
    CONFINE,  # filters that all threads have: they are born with them
    THREADS,  # after everything that they share with the leader
    PERSONAL,  # per thread: name, tid address, robust list, rseq, scheduling
    STOP,  # the process stops, if it was stopped: a group-stop takes in all its threads
    WITNESS,  # parents wait for stopped children whose stop they have seen before
    ACTIONS,  # signal actions: after the children that die or stop on the way
    PENDING,  # queued signals: after the actions, which would flush them
    LIMITS,  # after threads, descriptors and queued signals, which they would forbid
    FILTERS,  # of single threads: they take privileges, and are suspended while we trace
    CREDS,  # the last privileged work
    MARKS,  # dumpable, parent-death signal: reset by credentials
    READY,  # everybody meets here
    ARM,  # timers: nobody may be late
    DONE,
) = range(27)
