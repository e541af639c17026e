"""Sockets, as far as descriptors travel and queues are seen: sys/socket.h, linux/un.h, linux/sockios.h."""

from engine.abi.layout import Layout

AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10
AF_NETLINK = 16
AF_PACKET = 17
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
SOCK_SEQPACKET = 5
SOCK_CLOEXEC = 0o2000000
SOCK_NONBLOCK = 0o4000

SOL_SOCKET = 1
SCM_RIGHTS = 1
SCM_CREDENTIALS = 2
SO_TYPE = 3
SO_SNDBUF = 7
SO_RCVBUF = 8
SO_PASSCRED = 16
SO_PEERCRED = 17
SO_ACCEPTCONN = 30
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_PROTOCOL = 38
SO_DOMAIN = 39
SO_PEEK_OFF = 42
SO_ATTACH_FILTER = 26
SO_GET_FILTER = 26
SO_BUF_LOCK = 72
SO_PEERPIDFD = 77  # 6.5
MSG_PEEK = 0x2
MSG_TRUNC = 0x20
MSG_CTRUNC = 0x8
MSG_DONTWAIT = 0x40
MSG_NOSIGNAL = 0x4000
MSG_CMSG_CLOEXEC = 0x40000000
SHUT_RD = 0x0
SHUT_WR = 0x1
SHUT_RDWR = 0x2

SIOCUNIXFILE = 0x89E0
SIOCGSKNS = 0x894C
SIOCINQ = 0x541B
SIOCOUTQ = 0x5411

MSGHDR = Layout(
    "struct msghdr",
    "msg_name:Q msg_namelen:I _:4x msg_iov:Q msg_iovlen:Q msg_control:Q msg_controllen:Q msg_flags:i _:4x",
)
CMSGHDR = Layout("struct cmsghdr", "cmsg_len:Q cmsg_level:i cmsg_type:i")
UCRED = Layout("struct ucred", "pid:i uid:I gid:I")
