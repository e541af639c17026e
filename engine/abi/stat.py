"""File status: linux/stat.h, asm/stat.h (stat(2), statx(2))."""

from engine.abi.layout import Layout

S_IFMT = 0o170000
S_IFSOCK = 0o140000
S_IFLNK = 0o120000
S_IFREG = 0o100000
S_IFBLK = 0o60000
S_IFDIR = 0o40000
S_IFCHR = 0o20000
S_IFIFO = 0o10000
S_ISUID = 0o4000
S_ISGID = 0o2000
S_ISVTX = 0o1000

STATX_TYPE = 0x1
STATX_MODE = 0x2
STATX_NLINK = 0x4
STATX_UID = 0x8
STATX_GID = 0x10
STATX_ATIME = 0x20
STATX_MTIME = 0x40
STATX_CTIME = 0x80
STATX_INO = 0x100
STATX_SIZE = 0x200
STATX_BLOCKS = 0x400
STATX_BASIC_STATS = 0x7FF
STATX_BTIME = 0x800
STATX_MNT_ID = 0x1000
STATX_DIOALIGN = 0x2000
STATX_MNT_ID_UNIQUE = 0x4000  # 6.8
STATX_SUBVOL = 0x8000  # 6.10
STATX_ATTR_IMMUTABLE = 0x10
STATX_ATTR_APPEND = 0x20
STATX_ATTR_MOUNT_ROOT = 0x2000

STAT = Layout(
    "struct stat",
    "st_dev:Q st_ino:Q st_nlink:Q st_mode:I st_uid:I st_gid:I _:4x st_rdev:Q st_size:q st_blksize:q "
    "st_blocks:q st_atime:Q st_atime_nsec:Q st_mtime:Q st_mtime_nsec:Q st_ctime:Q st_ctime_nsec:Q _:24x",
)
STATX = Layout(
    "struct statx",
    "stx_mask:I stx_blksize:I stx_attributes:Q stx_nlink:I stx_uid:I stx_gid:I stx_mode:H _:2x "
    "stx_ino:Q stx_size:Q stx_blocks:Q stx_attributes_mask:Q "
    "stx_atime.tv_sec:q stx_atime.tv_nsec:I _:4x stx_btime.tv_sec:q stx_btime.tv_nsec:I _:4x "
    "stx_ctime.tv_sec:q stx_ctime.tv_nsec:I _:4x stx_mtime.tv_sec:q stx_mtime.tv_nsec:I _:4x "
    "stx_rdev_major:I stx_rdev_minor:I stx_dev_major:I stx_dev_minor:I stx_mnt_id:Q _:104x",
)
