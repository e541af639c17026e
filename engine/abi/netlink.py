"""Netlink, as far as the kernel is asked what it can: linux/netlink.h, linux/rtnetlink.h, linux/*_diag.h."""

from engine.abi.layout import Layout

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12
NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_ROOT = 0x100
NLM_F_MATCH = 0x200
NLM_F_DUMP = 0x300
NLM_F_CREATE = 0x400
NLM_F_EXCL = 0x200
RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_NEWNSID = 88
RTM_GETNSID = 90
IFLA_IFNAME = 3
IFLA_LINK = 5
IFLA_LINKINFO = 18
IFLA_LINK_NETNSID = 37
IFLA_TARGET_NETNSID = 46
IFLA_NET_NS_FD = 28
IFLA_NEW_IFINDEX = 49
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1
NETNSA_NSID = 1
NETNSA_FD = 3
SOCK_DIAG_BY_FAMILY = 20
UDIAG_SHOW_NAME = 1
NETLINK_ADD_MEMBERSHIP = 1

NLMSGHDR = Layout("struct nlmsghdr", "nlmsg_len:I nlmsg_type:H nlmsg_flags:H nlmsg_seq:I nlmsg_pid:I")
NLATTR = Layout("struct nlattr", "nla_len:H nla_type:H")
NLMSGERR = Layout(
    "struct nlmsgerr",
    "error:i msg.nlmsg_len:I msg.nlmsg_type:H msg.nlmsg_flags:H msg.nlmsg_seq:I msg.nlmsg_pid:I",
)
IFINFOMSG = Layout("struct ifinfomsg", "ifi_family:B _:1x ifi_type:H ifi_index:i ifi_flags:I ifi_change:I")
RTGENMSG = Layout("struct rtgenmsg", "rtgen_family:B")
UNIX_DIAG_REQ = Layout(
    "struct unix_diag_req",
    "sdiag_family:B sdiag_protocol:B pad:H udiag_states:I udiag_ino:I udiag_show:I udiag_cookie:2I",
)
INET_DIAG_REQ_V2 = Layout(
    "struct inet_diag_req_v2", "sdiag_family:B sdiag_protocol:B idiag_ext:B pad:B idiag_states:I id:48s"
)
