"""Every type of image: file name, magic, message (CRIU 4.2; the patterns' ids are explained in docs/images.md)."""

from __future__ import annotations

from engine.tuples import NamedTuple

COMMON_MAGIC = 0x54564319  # first word of a file of version 1.1
SERVICE_MAGIC = 0x55105940  # the same for files of the work directory
RAW = 0  # in place of a magic: the file is what a tool or the kernel made, without any header
SERVICES = ("STATS", "IRMAP_CACHE")


class ImageType(NamedTuple):
    """One type of image file."""

    kind: str  # "FDINFO": the name that JSON has as its magic
    pattern: str  # "fdinfo-%u.img"
    magic: int  # RAW or the word in front of the first entry
    message: str | None = None  # of each entry; None: the file has no messages
    single: bool = False  # exactly one entry
    head: str | None = None  # message of the first entry, if it is not like the others

    @property
    def head_magic(self) -> int | None:
        """The word in front of the magic in version 1.1, if there is one."""
        if self.kind == "INVENTORY" or self.magic == RAW:
            return None
        return SERVICE_MAGIC if self.kind in SERVICES else COMMON_MAGIC

    def message_at(self, number: int) -> str:
        """The message of the entry with this number, from 0. TypeError for files without messages."""
        if self.message is None:
            raise TypeError(f"files of type {self.kind} have no messages")
        return self.head if self.head and number == 0 else self.message

    def name(self, ident: int | str | None = None) -> str:
        """The file's name; `ident` fills the pattern. TypeError when it does not fit."""
        return self.pattern % (() if ident is None else ident)

    def has_name(self, name: str) -> bool:
        """Whether the pattern can be filled so as to give `name`."""
        before, percent, rest = self.pattern.partition("%")
        if not percent:
            return name == before
        form = rest.lstrip("l")[0]
        after = rest.lstrip("l")[1:]
        middle = name[len(before) : len(name) - len(after)]
        return name == before + middle + after and _fills(form, middle)


def _fills(form: str, text: str) -> bool:
    if form == "s":
        return text in ("dump", "restore")
    try:
        return ("%" + form) % int(text, 16 if form == "x" else 10) == text
    except ValueError:
        return False


WRITTEN = (
    ImageType("INVENTORY", "inventory.img", 0x58313116, "inventory_entry", single=True),
    ImageType("FDINFO", "fdinfo-%u.img", 0x56213732, "fdinfo_entry"),
    ImageType("PAGEMAP", "pagemap-%lu.img", 0x56084025, "pagemap_entry", head="pagemap_head"),
    ImageType("SHMEM_PAGEMAP", "pagemap-shmem-%lu.img", 0x56084025, "pagemap_entry", head="pagemap_head"),
    ImageType("CORE", "core-%u.img", 0x55053847, "core_entry", single=True),
    ImageType("IDS", "ids-%u.img", 0x54432030, "task_kobj_ids_entry", single=True),
    ImageType("MM", "mm-%u.img", 0x57492820, "mm_entry", single=True),
    ImageType("PIPES_DATA", "pipes-data.img", 0x56453709, "pipe_data_entry"),
    ImageType("FIFO_DATA", "fifo-data.img", 0x59333054, "pipe_data_entry"),
    ImageType("PSTREE", "pstree.img", 0x50273030, "pstree_entry"),
    ImageType("SK_QUEUES", "sk-queues.img", 0x56264026, "sk_packet_entry"),
    ImageType("UTSNS", "utsns-%u.img", 0x54473203, "utsns_entry", single=True),
    ImageType("IPC_VAR", "ipcns-var-%u.img", 0x53115007, "ipc_var_entry", single=True),
    ImageType("IPCNS_SHM", "ipcns-shm-%u.img", 0x46283044, "ipc_shm_entry"),
    ImageType("IPCNS_MSG", "ipcns-msg-%u.img", 0x55453737, "ipc_msg_entry"),
    ImageType("IPCNS_SEM", "ipcns-sem-%u.img", 0x59573019, "ipc_sem_entry"),
    ImageType("FS", "fs-%u.img", 0x51403912, "fs_entry", single=True),
    ImageType("REMAP_FPATH", "remap-fpath.img", 0x59133954, "remap_file_path_entry"),
    ImageType("GHOST_FILE", "ghost-file-%x.img", 0x52583605, "ghost_chunk_entry", head="ghost_file_entry"),
    ImageType("MEMFD_INODE", "memfd.img", 0x48453499, "memfd_inode_entry"),
    ImageType("TCP_STREAM", "tcp-stream-%x.img", 0x51465506, "tcp_stream_entry", single=True),
    ImageType("MNTS", "mountpoints-%u.img", 0x55563928, "mnt_entry"),
    ImageType("NETDEV", "netdev-%u.img", 0x57373951, "net_device_entry"),
    ImageType("NETNS", "netns-%u.img", 0x55933752, "netns_entry", single=True),
    ImageType("IFADDR", "ifaddr-%u.img", RAW),
    ImageType("ROUTE", "route-%u.img", RAW),
    ImageType("ROUTE6", "route6-%u.img", RAW),
    ImageType("RULE", "rule-%u.img", RAW),
    ImageType("IPTABLES", "iptables-%u.img", RAW),
    ImageType("IP6TABLES", "ip6tables-%u.img", RAW),
    ImageType("NFTABLES", "nftables-%u.img", RAW),
    ImageType("TMPFS_DEV", "tmpfs-dev-%u.tar.gz.img", RAW),
    ImageType("AUTOFS", "autofs-%u.img", 0x49353943, "autofs_entry", single=True),
    ImageType("BINFMT_MISC", "binfmt-misc.img", 0x67343323, "binfmt_misc_entry"),
    ImageType("TTY_INFO", "tty-info.img", 0x59453036, "tty_info_entry"),
    ImageType("TTY_DATA", "tty-data.img", 0x59413026, "tty_data_entry"),
    ImageType("FILE_LOCKS", "filelocks.img", 0x54323616, "file_lock_entry"),
    ImageType("PAGES", "pages-%u.img", RAW),
    ImageType("CGROUP", "cgroup.img", 0x59383330, "cgroup_entry", single=True),
    ImageType("CPUINFO", "cpuinfo.img", 0x61404013, "cpuinfo_entry", single=True),
    ImageType("SECCOMP", "seccomp.img", 0x64413049, "seccomp_entry", single=True),
    ImageType("USERNS", "userns-%u.img", 0x55474906, "userns_entry", single=True),
    ImageType("NETNF_CT", "netns-ct-%u.img", RAW),
    ImageType("NETNF_EXP", "netns-exp-%u.img", RAW),
    ImageType("FILES", "files.img", 0x56303138, "file_entry"),
    ImageType("TIMENS", "timens-%u.img", 0x43114433, "timens_entry", single=True),
    ImageType("PIDNS", "pidns-%u.img", 0x61157326, "pidns_entry", single=True),
    ImageType("BPFMAP_DATA", "bpfmap-data.img", 0x64324033, "bpfmap_data_entry"),
    ImageType("APPARMOR", "apparmor.img", 0x59423047, "apparmor_entry", single=True),
    ImageType("STATS", "stats-%s", 0x57093306, "stats_entry", single=True),
    ImageType("IRMAP_CACHE", "irmap-cache", 0x57004059, "irmap_cache_entry"),
)

# What older versions wrote, or the same in files.img now: read by `amber image`, refused by a restore.
OLD = (
    ImageType("REG_FILES", "reg-files.img", 0x50363636, "reg_file_entry"),
    ImageType("EXT_FILES", "ext-files.img", 0x59255641, "ext_file_entry"),
    ImageType("NS_FILES", "ns-files.img", 0x61394011, "ns_file_entry"),
    ImageType("EVENTFD_FILE", "eventfd.img", 0x44523722, "eventfd_file_entry"),
    ImageType("EVENTPOLL_FILE", "eventpoll.img", 0x45023858, "eventpoll_file_entry"),
    ImageType("EVENTPOLL_TFD", "eventpoll-tfd.img", 0x44433746, "eventpoll_tfd_entry"),
    ImageType("SIGNALFD", "signalfd.img", 0x57323820, "signalfd_entry"),
    ImageType("INOTIFY_FILE", "inotify.img", 0x48424431, "inotify_file_entry"),
    ImageType("INOTIFY_WD", "inotify-wd.img", 0x54562009, "inotify_wd_entry"),
    ImageType("FANOTIFY_FILE", "fanotify.img", 0x55096122, "fanotify_file_entry"),
    ImageType("FANOTIFY_MARK", "fanotify-mark.img", 0x56506035, "fanotify_mark_entry"),
    ImageType("VMAS", "vmas-%u.img", 0x54123737, "vma_entry"),
    ImageType("PIPES", "pipes.img", 0x56513555, "pipe_entry"),
    ImageType("FIFO", "fifo.img", 0x58364939, "fifo_entry"),
    ImageType("SIGACT", "sigacts-%u.img", 0x55344201, "sa_entry"),
    ImageType("UNIXSK", "unixsk.img", 0x54373943, "unix_sk_entry"),
    ImageType("INETSK", "inetsk.img", 0x56443851, "inet_sk_entry"),
    ImageType("PACKETSK", "packetsk.img", 0x60454618, "packet_sock_entry"),
    ImageType("NETLINK_SK", "netlinksk.img", 0x58005614, "netlink_sk_entry"),
    ImageType("ITIMERS", "itimers-%u.img", 0x57464056, "itimer_entry"),
    ImageType("POSIX_TIMERS", "posix-timers-%u.img", 0x52603957, "posix_timer_entry"),
    ImageType("CREDS", "creds-%u.img", 0x54023547, "creds_entry", single=True),
    ImageType("TMPFS_IMG", "tmpfs-%u.tar.gz.img", RAW),
    ImageType("BINFMT_MISC_OLD", "binfmt-misc-%u.img", 0x67343323, "binfmt_misc_entry"),
    ImageType("TTY_FILES", "tty.img", 0x59433025, "tty_file_entry"),
    ImageType("RLIMIT", "rlimit-%u.img", 0x57113925, "rlimit_entry"),
    ImageType("PAGES_OLD", "pages-%d.img", 0x56084025),
    ImageType("SHM_PAGES_OLD", "pages-shmem-%ld.img", 0x56084025),
    ImageType("SIGNAL", "signal-s-%u.img", 0x59255647, "siginfo_entry"),
    ImageType("PSIGNAL", "signal-p-%u.img", 0x59255647, "siginfo_entry"),
    ImageType("TUNFILE", "tunfile.img", 0x57143751, "tunfile_entry"),
    ImageType("TIMERFD", "timerfd.img", 0x50493712, "timerfd_entry"),
    ImageType("BPFMAP_FILE", "bpfmap-file.img", 0x57506142, "bpfmap_file_entry"),
    ImageType("PIDFD", "pidfd.img", 0x54435556, "pidfd_entry"),
)

CATALOG = {type_.kind: type_ for type_ in (*WRITTEN, *OLD)}


def type_of_file(name: str) -> ImageType | None:
    """The type that a file must have by its name."""
    return next((type_ for type_ in CATALOG.values() if type_.has_name(name)), None)


def type_of_magic(magic: int) -> ImageType | None:
    """The type with this magic; of several that share one, the one whose name JSON has."""
    return next((type_ for type_ in CATALOG.values() if type_.magic == magic != RAW), None)
