"""Probes: sockets, netlink, devices, packet filters."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from errno import ENOENT, ERANGE

from engine.abi import inet, seccomp
from engine.abi import netlink as nl
from engine.abi import nftables as nft
from engine.abi import socket as abi
from engine.abi.sched import CLONE_NEWNET
from engine.abi.tun import TUNGETFEATURES, TUNSETIFINDEX
from engine.kernel.features.catalog import EXTRA, REQUIRED, Missing, feature
from engine.kernel.features.raw import Memory, call
from engine.kernel.features.rtnl import ask, attribute, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOOPBACK = 1  # the index of lo in every network namespace


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)


@feature(REQUIRED, "3.3 (UNIX sockets)")
def sock_diag() -> None:
    """sock_diag: the state of all sockets of a network namespace, UNIX sockets too."""
    flags = nl.UDIAG_SHOW_NAME
    body = nl.UNIX_DIAG_REQ.pack(sdiag_family=abi.AF_UNIX, udiag_states=(1 << 32) - 1, udiag_show=flags)
    here, there = socket.socketpair()
    with here, there:
        answers = ask(message(nl.SOCK_DIAG_BY_FAMILY, nl.NLM_F_DUMP, body), nl.NETLINK_SOCK_DIAG)
    if not answers:
        raise Missing("an existing UNIX socket is not reported")


@feature(EXTRA, "4.10, commit 432490f9d455")
def net_diag_raw() -> None:
    """sock_diag for raw sockets."""
    body = nl.INET_DIAG_REQ_V2.pack(
        sdiag_family=abi.AF_INET, sdiag_protocol=socket.IPPROTO_RAW, idiag_states=(1 << 32) - 1
    )
    try:
        ask(message(nl.SOCK_DIAG_BY_FAMILY, nl.NLM_F_DUMP, body), nl.NETLINK_SOCK_DIAG)
    except OSError as error:
        if error.errno == ENOENT:
            raise Missing("no handler for raw sockets: CONFIG_INET_RAW_DIAG is off") from None
        raise


@feature(REQUIRED, "3.4 (UNIX sockets)")
def sock_peek_off() -> None:
    """SO_PEEK_OFF: a queue is read without taking anything from it."""
    here, there = socket.socketpair()
    with here, there:
        there.setsockopt(socket.SOL_SOCKET, abi.SO_PEEK_OFF, 2)
        here.send(b"12345")
        if there.recv(5, socket.MSG_PEEK) != b"345" or there.recv(5) != b"12345":
            raise Missing("peeking begins at another byte")


@feature(REQUIRED, "3.8")
def sock_get_filter() -> None:
    """SO_GET_FILTER: the packet filter of a socket can be read."""
    allow = seccomp.SOCK_FILTER.pack(code=seccomp.BPF_RET | seccomp.BPF_K, k=(1 << 32) - 1)
    program = Memory(allow)
    whole = seccomp.SOCK_FPROG.pack(len=1, filter=program.address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, abi.SO_ATTACH_FILTER, whole)
        # Lengths count instructions here: of the only one, the first byte comes back.
        if sock.getsockopt(socket.SOL_SOCKET, abi.SO_GET_FILTER, len(allow)) != allow[:1]:
            raise Missing("an attached filter is not shown")


@feature(EXTRA, "5.15, commit 04190bf8944d")
def sockopt_buf_lock() -> None:
    """SO_BUF_LOCK: whether a program has fixed the sizes of its socket's buffers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10000)
        if sock.getsockopt(socket.SOL_SOCKET, abi.SO_BUF_LOCK) != 1:
            raise Missing("a fixed send buffer is not shown")


@feature(REQUIRED, "3.5; CAP_NET_ADMIN")
def tcp_repair() -> None:
    """TCP_REPAIR: TCP connections are saved and set up without a packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, inet.TCP_REPAIR, inet.TCP_REPAIR_ON)


@feature(EXTRA, "4.15, commit 319b0534b958")
def tcp_half_closed() -> None:
    """TCP_REPAIR of a connection that one side has closed."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        peer, _ = server.accept()
        with peer:
            client.shutdown(socket.SHUT_WR)
            client.setsockopt(socket.IPPROTO_TCP, inet.TCP_REPAIR, inet.TCP_REPAIR_ON)
            client.setsockopt(socket.IPPROTO_TCP, inet.TCP_REPAIR, inet.TCP_REPAIR_OFF_NO_WP)


@feature(EXTRA, "4.15, commit 84e14fe353de")
def ipv6_freebind() -> None:
    """IPV6_FREEBIND: binding to an address that nobody has yet."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, inet.IPV6_FREEBIND, 1)
        sock.bind(("2001:db8::1", 0))


@feature(EXTRA, "4.10, commit c62cce2caee5")
def sk_ns() -> None:
    """SIOCGSKNS: the network namespace of a socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _same_namespace(fcntl.ioctl(sock, abi.SIOCGSKNS))


def _same_namespace(fd: int) -> None:
    same = os.fstat(fd).st_ino == os.stat("/proc/self/ns/net").st_ino
    os.close(fd)
    if not same:
        raise Missing("SIOCGSKNS gave another namespace")


@feature(EXTRA, "4.10, commit ba94f3088b79", alone=True)
def sk_unix_file() -> None:
    """SIOCUNIXFILE: the file that a UNIX socket is bound to."""
    path = f"/tmp/amber-probe-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(path)
        wanted = os.lstat(path).st_ino
        os.unlink(path)
        fd = fcntl.ioctl(sock, abi.SIOCUNIXFILE)
    if os.fstat(fd).st_ino != wanted:
        raise Missing("SIOCUNIXFILE gave another file")


def _with_tun(act: Callable[[int], object]) -> None:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        act(fd)
    finally:
        os.close(fd)


@feature(EXTRA, "3.11, commit fb7589a16216")
def tun() -> None:
    """TUN and TAP devices: /dev/net/tun, and TUNSETIFINDEX to make one with the index it had."""

    def set_index(fd: int) -> None:
        fcntl.ioctl(fd, TUNGETFEATURES, b"\0" * 4)
        fcntl.ioctl(fd, TUNSETIFINDEX, _u32(4711))

    _with_tun(set_index)


@feature(EXTRA, "4.18")
def tun_ns() -> None:
    """SIOCGSKNS on a TUN descriptor: the namespace that its device would be made in."""
    _with_tun(lambda fd: _same_namespace(fcntl.ioctl(fd, abi.SIOCGSKNS)))


def _name_our_namespace(number: int) -> None:
    fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    body = nl.RTGENMSG.pack() + bytes(3)
    body += attribute(nl.NETNSA_FD, _u32(fd)) + attribute(nl.NETNSA_NSID, _u32(number))
    ask(message(nl.RTM_NEWNSID, nl.NLM_F_ACK, body))
    os.close(fd)


@feature(EXTRA, "4.0, commit 0c7aecd4bde4", alone=True)
def nsid() -> None:
    """RTM_GETNSID: the numbers under which network namespaces know one another."""
    call("unshare", CLONE_NEWNET)
    _name_our_namespace(7)
    with open("/proc/self/ns/net", "rb") as namespace:
        body = nl.RTGENMSG.pack() + bytes(3) + attribute(nl.NETNSA_FD, _u32(namespace.fileno()))
        (answer,) = ask(message(nl.RTM_GETNSID, 0, body))
    if answer.attributes(4).get(nl.NETNSA_NSID) != _u32(7):
        raise Missing("the number given to a namespace is not shown")


@feature(EXTRA, "4.15, commit 79e1ad148c84", alone=True)
def link_nsid() -> None:
    """IFLA_TARGET_NETNSID: asking for the devices of another network namespace."""
    call("unshare", CLONE_NEWNET)
    _name_our_namespace(7)
    body = nl.IFINFOMSG.pack(ifi_index=_LOOPBACK) + attribute(nl.IFLA_TARGET_NETNSID, _u32(7))
    (answer,) = ask(message(nl.RTM_GETLINK, 0, body))
    if answer.attributes(nl.IFINFOMSG.size).get(nl.IFLA_TARGET_NETNSID) != _u32(7):
        raise Missing("the answer does not name the namespace that was asked for")


@feature(EXTRA, "5.13, commit eeb85a14ee34", alone=True)
def newifindex() -> None:
    """IFLA_NEW_IFINDEX: a device keeps its index, or gets a chosen one, in another namespace."""
    call("unshare", CLONE_NEWNET)
    body = nl.IFINFOMSG.pack(ifi_index=_LOOPBACK) + attribute(nl.IFLA_NEW_IFINDEX, struct.pack("=i", -1))
    try:
        ask(message(nl.RTM_NEWLINK, nl.NLM_F_ACK, body))
    except OSError as error:
        if error.errno == ERANGE:  # the attribute is known: it must be 1 or more
            return
        raise
    raise Missing("the attribute is ignored")


def _nft_batch(*requests: bytes) -> None:
    """Sends the requests as one transaction."""
    edge = nft.NFGENMSG.pack(res_id=nft.NFNL_SUBSYS_NFTABLES << 8)  # the subsystem, in network order
    begin, end = (message(kind, 0, edge) for kind in (nft.NFNL_MSG_BATCH_BEGIN, nft.NFNL_MSG_BATCH_END))
    ask(begin + b"".join(requests) + end, nl.NETLINK_NETFILTER)


def _nft_request(kind: int, attributes: bytes) -> bytes:
    flags = nl.NLM_F_CREATE | nl.NLM_F_ACK
    family = nft.NFGENMSG.pack(nfgen_family=socket.AF_INET)
    return message(nft.NFNL_SUBSYS_NFTABLES << 8 | kind, flags, family + attributes)


@feature(EXTRA, "3.13")
def nftables() -> None:
    """nf_tables: packet filters by netlink."""
    family = nft.NFGENMSG.pack(nfgen_family=socket.AF_UNSPEC)
    kind = nft.NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETTABLE
    ask(message(kind, nl.NLM_F_DUMP, family), nl.NETLINK_NETFILTER)


@feature(EXTRA, "5.6, for sets of concatenations", alone=True)
def network_lock_nftables() -> None:
    """nf_tables sets that are keyed by addresses and ports together: locking connections without iptables."""
    call("unshare", CLONE_NEWNET)
    name = attribute(nft.NFTA_TABLE_NAME, b"probe\0")
    fields = b"".join(
        attribute(nft.NFTA_LIST_ELEM, attribute(nft.NFTA_SET_FIELD_LEN, struct.pack("!I", length))) for length in (4, 4)
    )
    description = attribute(nft.NFTA_SET_DESC, attribute(nft.NFTA_SET_DESC_CONCAT, fields))
    numbers = (
        (nft.NFTA_SET_FLAGS, nft.NFT_SET_CONCAT | nft.NFT_SET_INTERVAL),
        (nft.NFTA_SET_KEY_LEN, 8),
        (nft.NFTA_SET_ID, 1),
    )
    described = attribute(nft.NFTA_SET_TABLE, b"probe\0") + attribute(nft.NFTA_SET_NAME, b"set\0")
    described += b"".join(attribute(kind, struct.pack("!I", number)) for kind, number in numbers) + description
    _nft_batch(_nft_request(nft.NFT_MSG_NEWTABLE, name), _nft_request(nft.NFT_MSG_NEWSET, described))


@feature(EXTRA, "a program of iptables, and its kernel part", alone=True)
def has_ipt_legacy() -> None:
    """The old iptables, not the one that is a front of nf_tables."""
    call("unshare", CLONE_NEWNET)
    program = next((p for p in _paths("iptables-legacy") if os.access(p, os.X_OK)), None)
    if program is None:
        raise Missing("iptables-legacy is not installed")
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pid = os.posix_spawn(program, [program, "-w", "-n", "-L"], dict(os.environ), file_actions=silent)
    _, status = os.waitpid(pid, 0)
    if status:
        raise Missing(f"iptables-legacy -L ended with wait status {status:#x}")


def _paths(program: str) -> list[str]:
    search = [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"]
    return [f"{directory}/{program}" for directory in search if directory]
