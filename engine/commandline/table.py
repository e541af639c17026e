"""Every option of CRIU 4.2, and Amber's own two, with what Amber makes of each.

docs/cli.md is generated from this table. Options are listed under the heads of CRIU's manual.
"""

from __future__ import annotations

from engine.commandline.option import MAY_HAVE_VALUE, NEEDS_VALUE, NO_VALUE, Option
from engine.commandline.values import choice, every, last, louder, number, positive, size, switch, text
from engine.log import DEFAULT_LEVEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commandline.values import Fold

COMMANDS = {
    "dump": "D",
    "pre-dump": "P",
    "restore": "R",
    "check": "C",
    "service": "S",
    "page-server": "G",
    "lazy-pages": "L",
    "dedup": "U",
    "cpuinfo": "I",
}
ANY = "".join(COMMANDS.values())
NOW = "DRC"  # the commands that exist so far

_NO_TCP = "trees with TCP connections are refused"
_NO_NAMESPACES = "trees with namespaces of their own are refused"
_NO_SERVER = "only page servers use it"


# fmt: off


def _switch(
    name: str, applies: str, meaning: str, *, letter: str = "", works: str = "", refused: str = "",
    reason: str = "", default: bool = False, negatable: bool = True, own: bool = False,
) -> Option:
    return Option(name, letter, NO_VALUE, "", switch, default, applies, works, refused, reason, meaning,
                  negatable, False, own)


def _value(
    name: str, metavar: str, applies: str, meaning: str, *, fold: Fold | None = None, letter: str = "",
    works: str = "", refused: str = "", reason: str = "", default: object = None, optional: bool = False,
    repeats: bool = False,
) -> Option:
    argument = MAY_HAVE_VALUE if optional else NEEDS_VALUE
    default = () if repeats else default
    fold = fold or (every(text) if repeats else last(text))
    return Option(name, letter, argument, metavar, fold, default, applies, works, refused, reason, meaning,
                  False, repeats, False)


GENERAL = (
    _value("tree", "PID", "DPC", "root of the tree", letter="t", fold=last(positive), works="DC"),
    _value("images-dir", "DIR", ANY, "image directory", letter="D", default=".", works=NOW),
    _value("work-dir", "DIR", ANY, "directory of log, pid file and statistics, and the current directory; "
           "by default the image directory", letter="W", works=NOW),
    _value("prev-images-dir", "DIR", "DP", "images of an earlier dump, relative to the image directory",
           refused="D", reason="every dump is complete in itself"),
    _value("root", "PATH", "R", "root directory of the restored mount namespace", letter="r",
           reason=_NO_NAMESPACES),
    _value("pidfile", "FILE", "RSGL", "write the root's pid to this new file", works="R"),
    _switch("leave-stopped", "DR", "leave the tree stopped", letter="s", works="DR", negatable=False),
    _switch("leave-running", "DP", "let the tree run on after the dump", letter="R", works="D",
            negatable=False),
    _switch("restore-detached", "R", "end when the tree is restored, do not wait for its end", letter="d",
            works="R"),
    _switch("daemon", "SGL", "work in the background; the same as --restore-detached", works="R"),
    _switch("restore-sibling", "R", "make the tree's root a child of Amber's parent; with --restore-detached",
            letter="S", refused="R", reason="the root is a child of Amber itself"),
    _switch("exec-cmd", "R", "become the program given after -- when the tree is restored", works="R",
            negatable=False),
    _value("close", "FD", ANY, "close this descriptor first", fold=every(number), works=NOW, repeats=True),
    _switch("log-pid", "R", "one log per process", reason="one process restores the whole tree"),
    _switch("stream", "DPRI", "images through criu-image-streamer", refused="DR", reason="images are files"),
    _switch("unprivileged", ANY, "accept the limits of an ordinary user", refused="DR",
            reason="Amber needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE"),
    _value("timeout", "SECONDS", "DP", "time to freeze the tree in", fold=last(number), default=10,
           works="D"),
    _value("freeze-cgroup", "PATH", "DP", "freeze the tree by its freezer cgroup", works="D"),
    _switch("weak-sysctls", "R", "ignore sysctls that do not exist", reason=_NO_NAMESPACES),
    _switch("deprecated", ANY, "accept kinds of images that nobody writes any more",
            reason="such images are refused by name"),
    _value("libdir", "DIR", "DPR", "directory of plugins", letter="L",
           reason="there are no plugins, and images that need one are refused"),
    _value("action-script", "PATH", "DPR", "run this program at each stage", works="DR", repeats=True),
    _switch("display-stats", "DPR", "print the statistics", works="DR"),
    _switch("allow-uprobes", "DR", "accept the [uprobes] mapping",
            reason="such mappings are refused by name"),
    _switch("ms", ANY, "obsolete", refused=NOW, reason="it is obsolete in CRIU too", negatable=False),
)

LOGGING = (
    _value("log-file", "FILE", ANY, "log file, in the work directory; else standard error", letter="o",
           works=NOW),
    _value("verbosity", "LEVEL", ANY, "0 messages, 1 errors, 2 warnings, 3 information and times, "
           "4 debugging; -v and every further v raise it by one", letter="v", fold=louder,
           default=DEFAULT_LEVEL, optional=True, works=NOW),
    _switch("version", ANY, "print the version", letter="V", works=NOW, negatable=False),
    _switch("help", ANY, "print this help", letter="h", works=NOW, negatable=False),
)

CONFIGURATION = (
    _value("config", "FILE", ANY, "configuration file in place of the default ones", works=NOW),
    _switch("no-default-config", ANY, "skip the default configuration files", works=NOW, negatable=False),
)

MEMORY = (
    _switch("track-mem", "DP", "follow changes of memory for the next dump", refused="D",
            reason="every dump is complete in itself"),
    _switch("auto-dedup", "DPRG", "punch duplicate pages out of earlier images", refused="DR",
            reason="images are never changed"),
    _switch("page-server", "DPL", "send pages to a page server", refused="D", reason="images are files"),
    _value("address", "ADDRESS", "DPGLS", "address of the server", reason=_NO_SERVER),
    _value("port", "PORT", "DPGL", "TCP port of the server", fold=last(positive), reason=_NO_SERVER),
    _value("ps-socket", "FD", "DPGL", "connected socket of the server", fold=last(number), reason=_NO_SERVER),
    _switch("lazy-pages", "DRG", "move memory after the restore", refused="DR",
            reason="memory is complete before the tree runs", negatable=False),
    _value("pre-dump-mode", "MODE", "P", "splice or read", fold=last(choice("splice", "read")),
           default="splice", reason="only pre-dump uses it"),
    _value("status-fd", "FD", "SGLD", "descriptor that gets a NUL byte when the server is ready",
           fold=last(number), reason=_NO_SERVER),
    _switch("tls", "DPRGL", "encrypt the connection to the server", refused="DR", reason="images are files"),
    _value("tls-cacert", "FILE", "DPRGL", "trusted certificates", reason="only --tls uses it"),
    _value("tls-cacrl", "FILE", "DPRGL", "revoked certificates", reason="only --tls uses it"),
    _value("tls-cert", "FILE", "DPRGL", "own certificate", reason="only --tls uses it"),
    _value("tls-key", "FILE", "DPRGL", "own key", reason="only --tls uses it"),
    _switch("tls-no-cn-verify", "DPRGL", "accept any host name", reason="only --tls uses it",
            negatable=False),
)

FILES = (
    _value("ghost-limit", "SIZE", "D", "largest unlinked file that is saved, with K, M or G", fold=last(size),
           default=1 << 20, works="D"),
    _switch("ghost-fiemap", "D", "ask for the holes of unlinked files with FIEMAP", default=True,
            reason="holes are found with SEEK_HOLE"),
    _switch("link-remap", "DR", "keep files reachable whose name is gone by temporary hard links",
            reason="such files are refused by name"),
    _switch("evasive-devices", "DR", "accept another path to the same device",
            reason="a device is opened by its own path"),
    _switch("file-locks", "DR", "save file locks and leases", letter="l",
            reason="locked files are refused by name"),
    _switch("shell-job", "DR", "the session and the terminal belong to somebody outside", letter="j",
            works="DR"),
    _switch("force-irmap", "DP", "search the names of watched files", reason="watches are refused by name"),
    _value("irmap-scan-path", "PATH", "DP", "where to search the names of watched files", repeats=True,
           reason="watches are refused by name"),
    _value("file-validation", "KIND", "DR", "filesize or buildid", fold=last(choice("filesize", "buildid")),
           default="buildid", works="DR"),
    _switch("skip-file-rwx-check", "R", "accept files whose permissions changed", works="R"),
    _value("cpu-cap", "LIST", "DRI", "CPU features to compare", fold=last(text, "all"), optional=True,
           refused="DR", reason="CPU features are not recorded"),
)

NETWORK = (
    _switch("tcp-established", "DR", "save TCP connections", reason=_NO_TCP),
    _switch("tcp-close", "DR", "restore TCP connections as closed ones", reason=_NO_TCP),
    _switch("skip-in-flight", "D", "ignore connections that nobody has accepted yet", reason=_NO_TCP),
    _value("network-lock", "METHOD", "D", "iptables, nftables or skip",
           fold=last(choice("iptables", "nftables", "skip", "none")), default="iptables", reason=_NO_TCP),
    _value("ext-unix-sk", "INODES", "DR", "accept datagram peers outside of the tree", letter="x",
           fold=last(bool, True), default=False, optional=True, reason="such sockets are refused by name"),
    _value("veth-pair", "IN=OUT", "R", "name of the outer end of a veth pair", refused="R",
           reason="network namespaces are not restored", repeats=True),
    _value("empty-ns", "net", "DR", "make the namespace, leave it empty", fold=last(choice("net")),
           reason=_NO_NAMESPACES),
)

NAMESPACES = (
    _value("external", "RESOURCE", "DR", "an object that exists outside of the tree", repeats=True,
           reason="objects outside of the tree are refused by name"),
    _value("inherit-fd", "fd[N]:KEY", "R", "use an own descriptor in place of one of the images", refused="R",
           reason="descriptors come from the images alone", repeats=True),
    _value("join-ns", "NS:PID", "R", "restore into this namespace", letter="J", refused="R",
           reason="a tree is restored into the namespaces of Amber itself", repeats=True),
    _value("ext-mount-map", "KEY:VALUE", "DR", "old form of --external for mounts", letter="M", repeats=True,
           reason=_NO_NAMESPACES),
    _switch("enable-external-sharing", "DR", "accept shared external mounts", reason=_NO_NAMESPACES,
            negatable=False),
    _switch("enable-external-masters", "DR", "accept slave external mounts", reason=_NO_NAMESPACES,
            negatable=False),
    _value("skip-mnt", "PATH", "D", "ignore this mount", reason=_NO_NAMESPACES, repeats=True),
    _value("enable-fs", "NAMES", "DR", "mount these file systems plainly", reason=_NO_NAMESPACES,
           repeats=True),
    _switch("mntns-compat-mode", "R", "old way of restoring mounts", reason=_NO_NAMESPACES),
    _value("lsm-profile", "LSM:NAME", "R", "security profile of the restored tree", refused="R",
           reason="the tree gets the profile of Amber itself"),
    _value("lsm-mount-context", "CONTEXT", "R", "SELinux context of mounts", refused="R",
           reason="mounts are not restored"),
)

CGROUPS = (
    _value("manage-cgroups", "MODE", "DR", "none, props, soft, full, strict or ignore",
           fold=last(choice("none", "props", "soft", "full", "strict", "ignore", "default"), "soft"),
           default="soft", optional=True, works="DR"),
    _value("cgroup-root", "[CONTROLLER:]PATH", "DR", "cgroup that paths are relative to", refused="R",
           reason="paths of cgroups are those of the dump", repeats=True),
    _value("cgroup-props", "TEXT", "D", "properties of cgroups to save", refused="D",
           reason="properties of cgroups are not saved"),
    _value("cgroup-props-file", "FILE", "D", "properties of cgroups to save", refused="D",
           reason="properties of cgroups are not saved"),
    _value("cgroup-dump-controller", "NAME", "D", "cgroup controllers to save",
           reason="the places in all hierarchies are saved", repeats=True),
    _value("cgroup-yard", "PATH", "DR", "where the cgroup file systems are mounted", refused="DR",
           reason="they are taken from where they are mounted"),
)

CHECK = (
    _switch("extra", "C", "check optional features too", works="C"),
    _switch("experimental", "C", "check experimental features too", works="C"),
    _switch("all", "C", "check all features", works="C", negatable=False),
    _value("feature", "NAME", "C", "check this feature alone", works="C"),
)

OWN = (
    _switch("explain", "DR", "print the plan of system calls, change nothing", works="DR", negatable=False, own=True),
    _switch("step", "DR", "run plans call by call through ptrace, for debugging", works="DR", negatable=False,
            own=True),
)

HEADS: dict[str, tuple[Option, ...]] = {
    "General": GENERAL,
    "Logging": LOGGING,
    "Configuration": CONFIGURATION,
    "Memory": MEMORY,
    "Files, locks, special": FILES,
    "Network": NETWORK,
    "Namespaces, mounts, external objects": NAMESPACES,
    "Cgroups": CGROUPS,
    "Check": CHECK,
    "Amber's own": OWN,
}
OPTIONS: tuple[Option, ...] = tuple(option for options in HEADS.values() for option in options)
