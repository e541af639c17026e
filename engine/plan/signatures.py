"""What plans may call, and what the arguments are: the table that the verifier and the listing share.

    openat  dirfd:at path:str flags:open mode:mode

One line is one system call: `name:kind` for each argument. A kind is a plain word (a number, and how the listing shows
it: below), or one of those that the verifier checks:

    fd at           a descriptor number; `at` may also be AT_FDCWD
    str             data that holds a NUL
    in[n] out[n] io[n]  data of n bytes that the kernel reads, writes, or both
    mem[n] put[n]   n bytes of data, or of the task's own mappings, that the kernel writes (mem) or reads (put)
    iov[n] put_iov[n]   n struct iovec that lead to such bytes
    msghdr sock_fprog prctl_mm_map  a structure with pointers in it (POINTERS)
    area[n]         an address of the task's own mappings, n bytes from there on
    gone[n]         the same, or of the mappings that it was born with
    place[n]        the same if MAP_FIXED stands in the fourth argument, else 0
    user            an address that the kernel keeps for the task and does not use now
    null            0: this form of the call only

    task            the pid or tid of one that the plan makes; `own`: 0 too, for the caller
    open            flags of open(2), none of which makes or empties a file (`file`: of calls that make other files)

`n` is a number of bytes, `@2` the value of argument 2, `4*@2` four times that, `*@4` the 32-bit number that argument 4
points to. A `?` behind a kind allows 0 instead. Calls that are many in one have a line for each command that is
allowed. A call that stands in no line appears in no plan: making names, removing them, running programs, tracing,
and signals to strangers are not there on purpose.
"""

from __future__ import annotations

from functools import cache

from engine.abi.syscalls import NR
from engine.tuples import NamedTuple

# What a plan may ask inside a frozen task: calls that change nothing, in the form in which they change nothing.
_ASKING = """
arch_prctl:ARCH_GET_CPUID       command:arch value:number
arch_prctl:ARCH_GET_XCOMP_PERM  command:arch place:out[8]
arch_prctl:ARCH_SHSTK_STATUS    command:arch place:out[8]
brk             address:null
capget          header:in[8] data:out[24]
fcntl:F_GETFD   fd:fd command:fcntl unused:number
fcntl:F_GETFL   fd:fd command:fcntl unused:number
fcntl:F_GETOWN  fd:fd command:fcntl unused:number
fcntl:F_GETSIG  fd:fd command:fcntl unused:number
fcntl:F_GETLEASE        fd:fd command:fcntl unused:number
fcntl:F_GETPIPE_SZ      fd:fd command:fcntl unused:number
fcntl:F_GET_SEALS       fd:fd command:fcntl unused:number
fcntl:F_GETOWN_EX       fd:fd command:fcntl owner:out[8]
fcntl:F_GETOWNER_UIDS   fd:fd command:fcntl uids:out[8]
fcntl:F_GETLK   fd:fd command:fcntl lock:io[32]
fcntl:F_OFD_GETLK       fd:fd command:fcntl lock:io[32]
get_robust_list pid:number head:out[8] length:out[8]
getegid
geteuid
getgid
getgroups       size:number groups:out[4*@0]?
getitimer       which:itimer value:out[32]
getpgid         pid:number
getpid
getppid
getpriority     which:number who:number
getresgid       rgid:out[4] egid:out[4] sgid:out[4]
getresuid       ruid:out[4] euid:out[4] suid:out[4]
getsid          pid:number
getsockname     fd:fd address:out[*@2] length:io[4]
getsockopt      fd:fd level:number option:number value:out[*@4] length:io[4]
gettid
getuid
ioctl:FIONREAD  fd:fd request:ioctl value:out[4]
ioctl:TCGETS    fd:fd request:ioctl termios:out[36]
ioctl:TIOCGEXCL fd:fd request:ioctl value:out[4]
ioctl:TIOCGLCKTRMIOS    fd:fd request:ioctl termios:out[36]
ioctl:TIOCGPGRP fd:fd request:ioctl group:out[4]
ioctl:TIOCGPKT  fd:fd request:ioctl value:out[4]
ioctl:TIOCGPTLCK        fd:fd request:ioctl value:out[4]
ioctl:TIOCGPTN  fd:fd request:ioctl number:out[4]
ioctl:TIOCGSID  fd:fd request:ioctl session:out[4]
ioctl:TIOCGWINSZ        fd:fd request:ioctl size:out[8]
ioprio_get      which:number who:number
modify_ldt      function:null table:out[@2] size:number
membarrier:MEMBARRIER_CMD_GET_REGISTRATIONS     command:membarrier flags:number cpu:number
membarrier:MEMBARRIER_CMD_QUERY command:membarrier flags:number cpu:number
prctl:PR_CAP_AMBIENT    option:prctl command:number capability:number zero:null zero:null
prctl:PR_CAPBSET_READ   option:prctl capability:number
prctl:PR_GET_CHILD_SUBREAPER    option:prctl value:out[4]
prctl:PR_GET_DUMPABLE   option:prctl
prctl:PR_GET_IO_FLUSHER option:prctl zero:null zero:null zero:null zero:null
prctl:PR_GET_KEEPCAPS   option:prctl
prctl:PR_GET_MDWE       option:prctl zero:null zero:null zero:null zero:null
prctl:PR_GET_MEMORY_MERGE       option:prctl zero:null zero:null zero:null zero:null
prctl:PR_GET_NAME       option:prctl name:out[16]
prctl:PR_GET_NO_NEW_PRIVS       option:prctl zero:null zero:null zero:null zero:null
prctl:PR_GET_PDEATHSIG  option:prctl signal:out[4]
prctl:PR_GET_SECCOMP    option:prctl
prctl:PR_GET_SECUREBITS option:prctl
prctl:PR_GET_SPECULATION_CTRL   option:prctl feature:number zero:null zero:null zero:null
prctl:PR_GET_THP_DISABLE        option:prctl zero:null zero:null zero:null zero:null
prctl:PR_GET_TID_ADDRESS        option:prctl place:out[8]
prctl:PR_GET_TIMERSLACK option:prctl
prctl:PR_GET_TSC        option:prctl mode:out[4]
prlimit64       pid:number resource:rlimit new:null old:out[16]
rt_sigaction    signal:signal new:null old:out[32] size:number
rt_sigpending   set:out[8] size:number
rt_sigprocmask  how:sigmask set:null old:out[8] size:number
sched_getaffinity       pid:number size:number mask:out[@1]
sched_getattr   pid:number attr:out[@2] size:number flags:number
sched_getparam  pid:number param:out[4]
sched_getscheduler      pid:number
sigaltstack     new:null old:out[24]
timer_getoverrun        id:number
timer_gettime   id:number value:out[32]
timerfd_gettime fd:fd value:out[32]
"""

# What a plan may do besides in a task that is being made.
_MAKING = """
accept4         fd:fd address:null length:null flags:number
arch_prctl:ARCH_MAP_VDSO_64     command:arch address:area[4096]
arch_prctl:ARCH_REQ_XCOMP_PERM  command:arch feature:number
arch_prctl:ARCH_SET_CPUID       command:arch value:number
bind            fd:fd address:in[@2] length:number
capset          header:in[8] data:in[24]
chdir           path:str
chroot          path:str
clock_nanosleep clock:number flags:number time:in[16] rest:null
close           fd:fd
close_range     first:fd last:number flags:number
connect         fd:fd address:in[@2] length:number
dup             fd:fd
dup2            old:fd new:fd
dup3            old:fd new:fd flags:file
epoll_create1   flags:file
epoll_ctl       epoll:fd command:epoll fd:fd event:in[12]?
eventfd2        count:number flags:file
exit            status:number
exit_group      status:number
fadvise64       fd:fd offset:number length:number advice:number
fallocate       fd:fd mode:number offset:number length:number
fanotify_init   flags:number event_flags:open
fanotify_mark   fd:fd flags:number mask:number dirfd:at path:str?
fchdir          fd:fd
fchmod          fd:fd mode:mode
fchown          fd:fd uid:number gid:number
fcntl:F_ADD_SEALS       fd:fd command:fcntl seals:number
fcntl:F_DUPFD   fd:fd command:fcntl lowest:number
fcntl:F_DUPFD_CLOEXEC   fd:fd command:fcntl lowest:number
fcntl:F_NOTIFY  fd:fd command:fcntl events:number
fcntl:F_OFD_SETLK       fd:fd command:fcntl lock:in[32]
fcntl:F_SETFD   fd:fd command:fcntl flags:number
fcntl:F_SETFL   fd:fd command:fcntl flags:file
fcntl:F_SETLEASE        fd:fd command:fcntl type:number
fcntl:F_SETLK   fd:fd command:fcntl lock:in[32]
fcntl:F_SETOWN  fd:fd command:fcntl owner:number
fcntl:F_SETOWN_EX       fd:fd command:fcntl owner:in[8]
fcntl:F_SETPIPE_SZ      fd:fd command:fcntl size:number
fcntl:F_SETSIG  fd:fd command:fcntl signal:signal
flock           fd:fd operation:number
ftruncate       fd:fd length:number
inotify_add_watch       fd:fd path:str mask:number
inotify_init1   flags:file
io_uring_setup  entries:number params:io[120]
ioctl:FIOASYNC  fd:fd request:ioctl value:in[4]
ioctl:FIONBIO   fd:fd request:ioctl value:in[4]
ioctl:INOTIFY_IOC_SETNEXTWD       fd:fd request:ioctl wd:number
ioctl:TCFLSH    fd:fd request:ioctl queue:number
ioctl:TCSETS    fd:fd request:ioctl termios:in[36]
ioctl:TIOCEXCL  fd:fd request:ioctl
ioctl:TIOCGPTPEER       fd:fd request:ioctl flags:open
ioctl:TIOCNOTTY fd:fd request:ioctl
ioctl:TIOCPKT   fd:fd request:ioctl value:in[4]
ioctl:TIOCSCTTY fd:fd request:ioctl steal:number
ioctl:TIOCSLCKTRMIOS    fd:fd request:ioctl termios:in[36]
ioctl:TIOCSPGRP fd:fd request:ioctl group:in[4]
ioctl:TIOCSPTLCK        fd:fd request:ioctl value:in[4]
ioctl:TIOCSWINSZ        fd:fd request:ioctl size:in[8]
ioprio_set      which:number who:own priority:number
kill            pid:task signal:signal
listen          fd:fd backlog:number
lseek           fd:fd offset:number whence:whence
madvise         address:area[@1] length:number advice:madvise
mbind           address:area[@1] length:number mode:number mask:in[8]? size:number flags:number
membarrier:MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED     command:membarrier flags:number cpu:number
membarrier:MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED    command:membarrier flags:number cpu:number
membarrier:MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE  command:membarrier flags:number cpu:number
membarrier:MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ       command:membarrier flags:number cpu:number
memfd_create    name:str flags:memfd
memfd_secret    flags:number
mlock           address:area[@1] length:number
mlock2          address:area[@1] length:number flags:number
mlockall        flags:number
mmap            address:place[@1] length:number prot:prot flags:map fd:fd offset:number
mprotect        address:area[@1] length:number prot:prot
mremap          old:area[@1] old_length:number length:number flags:mremap address:area[@2]
mseal           address:area[@1] length:number flags:number
msync           address:area[@1] length:number flags:number
munlock         address:area[@1] length:number
munmap          address:gone[@1] length:number
nanosleep       time:in[16] rest:null
open            path:str flags:open mode:mode
openat          dirfd:at path:str flags:open mode:mode
personality     persona:number
pidfd_open      pid:number flags:file
pipe2           fds:out[8] flags:file
pkey_mprotect   address:area[@1] length:number prot:prot key:number
prctl:PR_CAPBSET_DROP   option:prctl capability:number zero:null zero:null zero:null
prctl:PR_SET_CHILD_SUBREAPER    option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_DUMPABLE   option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_IO_FLUSHER option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_KEEPCAPS   option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_MDWE       option:prctl bits:number zero:null zero:null zero:null
prctl:PR_SET_MEMORY_MERGE       option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_MM         option:prctl what:number map:prctl_mm_map size:number zero:null
prctl:PR_SET_NAME       option:prctl name:str
prctl:PR_SET_NO_NEW_PRIVS       option:prctl value:number zero:null zero:null zero:null
prctl:PR_SET_PDEATHSIG  option:prctl signal:signal zero:null zero:null zero:null
prctl:PR_SET_SECCOMP    option:prctl mode:number filter:sock_fprog? zero:null zero:null
prctl:PR_SET_SECUREBITS option:prctl bits:number zero:null zero:null zero:null
prctl:PR_SET_SPECULATION_CTRL   option:prctl feature:number control:number zero:null zero:null
prctl:PR_SET_SYSCALL_USER_DISPATCH      option:prctl mode:number start:number length:number selector:user
prctl:PR_SET_THP_DISABLE        option:prctl value:number flags:number zero:null zero:null
prctl:PR_SET_TIMERSLACK option:prctl slack:number zero:null zero:null zero:null
prctl:PR_SET_TSC        option:prctl mode:number zero:null zero:null zero:null
prctl:PR_SET_VMA        option:prctl attribute:number address:area[@3] length:number name:str?
prctl:PR_TIMER_CREATE_RESTORE_IDS       option:prctl command:number zero:null zero:null zero:null
pread64         fd:fd buffer:mem[@2] length:number offset:number
preadv          fd:fd vector:iov[@2] count:number offset:number high:number
preadv2         fd:fd vector:iov[@2] count:number offset:number high:number flags:number
prlimit64       pid:own resource:rlimit new:in[16]? old:out[16]?
pwrite64        fd:fd buffer:put[@2] length:number offset:number
pwritev         fd:fd vector:put_iov[@2] count:number offset:number high:number
read            fd:fd buffer:mem[@2] length:number offset:number
readv           fd:fd vector:iov[@2] count:number
recvmsg         fd:fd message:msghdr flags:number
rseq            area:user length:number flags:number signature:number
rt_sigaction    signal:signal new:in[32]? old:out[32]? size:number
rt_sigprocmask  how:sigmask set:in[8]? old:out[8]? size:number
rt_sigqueueinfo pid:task signal:signal info:in[128]
rt_tgsigqueueinfo       pid:task tid:task signal:signal info:in[128]
sched_setaffinity       pid:own size:number mask:in[@1]
sched_setattr   pid:own attr:in[48] flags:number
sched_setparam  pid:own param:in[4]
sched_setscheduler      pid:own policy:number param:in[4]
sched_yield
seccomp         operation:number flags:number program:sock_fprog?
sendmsg         fd:fd message:msghdr flags:number
sendto          fd:fd buffer:put[@2] length:number flags:number address:in[@5]? address_length:number
set_mempolicy   mode:number mask:in[8]? size:number
set_robust_list head:user length:number
set_tid_address place:user
setdomainname   name:in[@1] length:number
setfsgid        gid:number
setfsuid        uid:number
setgid          gid:number
setgroups       size:number groups:in[4*@0]?
sethostname     name:in[@1] length:number
setitimer       which:itimer new:in[32]? old:out[32]?
setns           fd:fd type:clone
setpgid         pid:own group:number
setpriority     which:number who:own nice:number
setregid        rgid:number egid:number
setresgid       rgid:number egid:number sgid:number
setresuid       ruid:number euid:number suid:number
setreuid        ruid:number euid:number
setsid
setsockopt      fd:fd level:number option:number value:in[@4]? length:number
setuid          uid:number
shmat           id:number address:area[4096] flags:number
shmget          key:number size:number flags:number
shutdown        fd:fd how:number
sigaltstack     new:in[24]? old:out[24]?
signalfd4       fd:fd mask:in[@2] size:number flags:file
socket          family:number type:number protocol:number
socketpair      family:number type:number protocol:number fds:out[8]
splice          in:fd in_offset:io[8]? out:fd out_offset:io[8]? length:number flags:number
tee             in:fd out:fd length:number flags:number
tgkill          pid:task tid:task signal:signal
timer_create    clock:number event:in[64]? id:io[4]
timer_delete    id:number
timer_settime   id:number flags:number new:in[32] old:out[32]?
timerfd_create  clock:number flags:file
timerfd_settime fd:fd flags:number new:in[32] old:out[32]?
umask           mask:mode
unshare         flags:clone
userfaultfd     flags:file
vmsplice        fd:fd vector:put_iov[@2] count:number flags:number
wait4           pid:number status:out[4]? options:number usage:null
waitid          type:number id:number info:out[128]? options:number usage:null
write           fd:fd buffer:put[@2] length:number
writev          fd:fd vector:put_iov[@2] count:number
"""


class Length(NamedTuple):
    """How many bytes (or members) are behind a pointer: `factor` times argument `argument`, or times the 32-bit number
    that it points to; `factor` alone when `argument` is negative."""

    factor: int
    argument: int = -1
    indirect: bool = False


class Parameter(NamedTuple):
    """One argument of a call."""

    name: str
    kind: str
    length: Length
    optional: bool


Signature = tuple[Parameter, ...]

# structure -> (bytes, pointers in it: place, place and struct letter of the length, bytes of a member)
POINTERS = {
    "msghdr": (56, ((0, 8, "I", 1), (16, 24, "Q", 16), (32, 40, "Q", 1))),
    "sock_fprog": (16, ((8, 0, "H", 8),)),
    "prctl_mm_map": (104, ((88, 96, "I", 1),)),
}
COMMANDS = {"prctl": 0, "arch_prctl": 0, "membarrier": 0, "fcntl": 1, "ioctl": 1}
"""Calls that are many in one, and which argument says which."""


class Table:
    """The calls of one kind of plan; lines are read when they are first asked for."""

    def __init__(self, *texts: str) -> None:
        self._lines: dict[str, str] = {}
        for text in texts:
            for line in text.strip().splitlines():
                name, _, rest = line.partition(" ")
                self._lines[name] = rest
        self.numbers = {getattr(NR, name.partition(":")[0]): name.partition(":")[0] for name in self._lines}
        self._known: dict[tuple[int, int], Signature | None] = {}

    def find(self, nr: int, command: int = 0) -> Signature | None:
        """What the call `nr` takes, None when it may not be called. `command` is that of a call of COMMANDS."""
        key = (nr, command)
        if key not in self._known:
            self._known[key] = self._read(nr, command)
        return self._known[key]

    def _read(self, nr: int, command: int) -> Signature | None:
        name = self.numbers.get(nr, "")
        if name in COMMANDS:
            name += f":{command_names(name).get(command)}"
        line = self._lines.get(name)
        return None if line is None else tuple(map(_parameter, line.split()))


@cache
def command_names(name: str) -> dict[int, str]:
    """Number -> name of the commands of a call of COMMANDS."""
    from engine.abi import fcntl, ioctls, membarrier, prctl

    modules = {"prctl": prctl, "arch_prctl": prctl, "membarrier": membarrier, "fcntl": fcntl, "ioctl": ioctls}
    wanted = [word.partition(":")[2] for word in (_ASKING + _MAKING).split() if word.startswith(name + ":")]
    return {getattr(modules[name], word): word for word in wanted}


def _parameter(word: str) -> Parameter:
    name, _, kind = word.partition(":")
    optional = kind.endswith("?")
    kind, _, size = kind.rstrip("?").rstrip("]").partition("[")
    factor, _, argument = size.partition("@")
    indirect, factor = factor == "*", factor.rstrip("*")
    length = Length(int(factor or 1), int(argument or -1), indirect)
    return Parameter(name, kind, length if size else Length(0), optional)


ASKING = Table(_ASKING)
"""For plans that run inside a frozen task."""

MAKING = Table(_ASKING, _MAKING)
"""For plans that make tasks; a line of the second table takes the place of one of the first."""
