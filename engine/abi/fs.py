"""PAGEMAP_SCAN, PROCMAP_QUERY, file attributes and file system magics: linux/fs.h, linux/magic.h."""

from engine.abi.layout import Layout

PAGEMAP_SCAN = 0xC0606610  # 6.7
PAGE_IS_WPALLOWED = 0x1  # 6.7
PAGE_IS_WRITTEN = 0x2  # 6.7
PAGE_IS_FILE = 0x4  # 6.7
PAGE_IS_PRESENT = 0x8  # 6.7
PAGE_IS_SWAPPED = 0x10  # 6.7
PAGE_IS_PFNZERO = 0x20  # 6.7
PAGE_IS_HUGE = 0x40  # 6.7
PAGE_IS_SOFT_DIRTY = 0x80  # 6.7
PAGE_IS_GUARD = 0x100  # 6.15
PM_SCAN_WP_MATCHING = 0x1  # 6.7
PM_SCAN_CHECK_WPASYNC = 0x2  # 6.7

PROCMAP_QUERY = 0xC0686611  # 6.11
PROCMAP_QUERY_VMA_READABLE = 0x1  # 6.11
PROCMAP_QUERY_VMA_WRITABLE = 0x2  # 6.11
PROCMAP_QUERY_VMA_EXECUTABLE = 0x4  # 6.11
PROCMAP_QUERY_VMA_SHARED = 0x8  # 6.11
PROCMAP_QUERY_COVERING_OR_NEXT_VMA = 0x10  # 6.11
PROCMAP_QUERY_FILE_BACKED_VMA = 0x20  # 6.11

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL = 0x10
FS_APPEND_FL = 0x20

TMPFS_MAGIC = 0x1021994
PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
DEVPTS_SUPER_MAGIC = 0x1CD1
CGROUP_SUPER_MAGIC = 0x27E0EB
CGROUP2_SUPER_MAGIC = 0x63677270
NSFS_MAGIC = 0x6E736673
PID_FS_MAGIC = 0x50494446  # 6.9
PIPEFS_MAGIC = 0x50495045
SOCKFS_MAGIC = 0x534F434B
ANON_INODE_FS_MAGIC = 0x9041934
HUGETLBFS_MAGIC = 0x958458F6
OVERLAYFS_SUPER_MAGIC = 0x794C7630
BTRFS_SUPER_MAGIC = 0x9123683E
NFS_SUPER_MAGIC = 0x6969
AUTOFS_SUPER_MAGIC = 0x187
SECURITYFS_MAGIC = 0x73636673
EXT4_SUPER_MAGIC = 0xEF53

# /proc/PID/pagemap, one 64-bit word per page (Documentation/admin-guide/mm/pagemap.rst; no header has them).
PAGEMAP_PFN_MASK = (1 << 55) - 1
PAGEMAP_SOFT_DIRTY = 1 << 55
PAGEMAP_EXCLUSIVE = 1 << 56
PAGEMAP_UFFD_WP = 1 << 57
PAGEMAP_GUARD = 1 << 58  # 6.15
PAGEMAP_FILE = 1 << 61
PAGEMAP_SWAPPED = 1 << 62
PAGEMAP_PRESENT = 1 << 63

PAGE_REGION = Layout("struct page_region", "start:Q end:Q categories:Q")  # 6.7
PM_SCAN_ARG = Layout(  # 6.7
    "struct pm_scan_arg",
    "size:Q flags:Q start:Q end:Q walk_end:Q vec:Q vec_len:Q max_pages:Q category_inverted:Q "
    "category_mask:Q category_anyof_mask:Q return_mask:Q",
)
PROCMAP_QUERY_ARG = Layout(  # 6.11
    "struct procmap_query",
    "size:Q query_flags:Q query_addr:Q vma_start:Q vma_end:Q vma_flags:Q vma_page_size:Q vma_offset:Q "
    "inode:Q dev_major:I dev_minor:I vma_name_size:I build_id_size:I vma_name_addr:Q build_id_addr:Q",
)
