"""Process descriptors and namespace descriptors: linux/pidfd.h, linux/nsfs.h (pidfd_open(2), ioctl_ns(2))."""

PIDFD_NONBLOCK = 0x800
PIDFD_THREAD = 0x80  # 6.9

NS_GET_USERNS = 0xB701
NS_GET_PARENT = 0xB702
NS_GET_NSTYPE = 0xB703
NS_GET_OWNER_UID = 0xB704
