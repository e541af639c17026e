"""Container: layout of the bytes, both versions, and every way in which a file can be wrong."""

import pytest

from engine.errors import ImageError
from engine.images import pb
from engine.images.catalog import CATALOG
from engine.images.format import V1, V1_1, Entry, guess_type, image_bytes, read_image

TASK = pb.pstree_entry(pid=5, ppid=1, pgid=5, sid=5, threads=[5])
COMMON, PSTREE = bytes.fromhex("19435654"), bytes.fromhex("30302750")


def pstree(*tasks: pb.pstree_entry) -> bytes:
    return image_bytes(CATALOG["PSTREE"], tasks, "pstree.img")


def read(kind: str, data: bytes, version: int | None = V1_1) -> list[Entry]:
    return read_image(CATALOG[kind], data, "/images/file.img", version)


def test_layout_of_version_1_1() -> None:
    body = TASK.SerializeToString()
    assert pstree(TASK) == COMMON + PSTREE + bytes([len(body), 0, 0, 0]) + body


def test_entries_come_back() -> None:
    other = pb.pstree_entry(pid=6, ppid=5, pgid=5, sid=5)
    assert [entry.message for entry in read("PSTREE", pstree(TASK, other))] == [TASK, other]
    assert read("PSTREE", pstree()) == []


def test_version_1_has_no_head_magic() -> None:
    old = pstree(TASK)[4:]
    assert read("PSTREE", old, V1)[0].message == TASK
    assert read("PSTREE", old, None)[0].message == TASK
    with pytest.raises(ImageError, match="head magic is 0x50273030 instead of 0x54564319"):
        read("PSTREE", old, V1_1)
    with pytest.raises(ImageError, match="magic is 0x54564319 instead of 0x50273030"):
        read("PSTREE", pstree(TASK), V1)


def test_inventory_has_no_head_magic() -> None:
    data = image_bytes(CATALOG["INVENTORY"], [pb.inventory_entry(img_version=2)], "inventory.img")
    assert data[:4] == bytes.fromhex("16313158")
    assert read("INVENTORY", data)[0].message.img_version == 2


def test_service_files_have_another_head_magic() -> None:
    stats = pb.stats_entry(
        restore=pb.restore_stats_entry(pages_compared=1, pages_skipped_cow=2, forking_time=3, restore_time=4)
    )
    data = image_bytes(CATALOG["STATS"], [stats], "stats-restore")
    assert data[:8] == bytes.fromhex("40591055") + bytes.fromhex("06330957")
    assert read("STATS", data, None)[0].message == stats


def test_first_message_may_differ() -> None:
    entries = [pb.pagemap_head(pages_id=3), pb.pagemap_entry(vaddr=0x1000, compat_nr_pages=0, nr_pages=2)]
    data = image_bytes(CATALOG["PAGEMAP"], entries, "pagemap-5.img")
    assert [entry.message for entry in read("PAGEMAP", data)] == entries
    with pytest.raises(ImageError, match="entry 0, offset 0: pagemap_entry instead of pagemap_head"):
        image_bytes(CATALOG["PAGEMAP"], entries[1:], "pagemap-5.img")
    with pytest.raises(ImageError, match="offset 8: pagemap_head is missing"):
        read("PAGEMAP", data[:8])


BODY = TASK.SerializeToString()


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", r"offset 0: the magic should have 4 bytes, but the file ends after 0"),
        (COMMON + b"\x30", r"offset 4: the magic should have 4 bytes, but the file ends after 1"),
        (
            COMMON + b"\x32\x37\x21\x56",
            r"magic is 0x56213732, which is that of FDINFO, instead of 0x50273030 \(PSTREE\)",
        ),
        (COMMON + b"\0\0\0\0", r"magic is 0x00000000 instead of"),
        (COMMON + PSTREE + b"\x05\0\0", r"entry 0, offset 8: the length of the entry should have 4 bytes"),
        (COMMON + PSTREE + b"\xff\xff\xff\xff" + BODY, r"entry 0, offset 12: the entry should have 4294967295 bytes"),
        (COMMON + PSTREE + b"\0\0\0\0", r"entry 0, offset 12: pstree_entry lacks pid, ppid, pgid, sid"),
        (COMMON + PSTREE + b"\x02\0\0\0\xff\xff", r"entry 0, offset 14: pstree_entry cannot be parsed"),
        (pstree(TASK) + b"\0", r"entry 1, offset 22: the length of the entry"),
    ],
)
def test_damaged(data: bytes, cause: str) -> None:
    with pytest.raises(ImageError, match=r"^/images/file\.img: .*" + cause):
        read("PSTREE", data)


def test_a_single_entry_stays_alone() -> None:
    data = image_bytes(CATALOG["UTSNS"], [pb.utsns_entry(nodename="a", domainname="b")], "utsns-1.img")
    with pytest.raises(ImageError, match=r"10 bytes follow the last entry"):
        read("UTSNS", data + data[8:])
    with pytest.raises(ImageError, match="utsns_entry is missing"):
        read("UTSNS", data[:8])
    with pytest.raises(ImageError, match=r"entry 1, .*no other entry can follow in a file of type UTSNS"):
        image_bytes(CATALOG["UTSNS"], [pb.utsns_entry(nodename="a", domainname="b")] * 2, "utsns-1.img")


def test_files_without_messages() -> None:
    with pytest.raises(ImageError, match="files of type PAGES have no messages"):
        read("PAGES", b"1234")


def test_writing_is_as_strict() -> None:
    with pytest.raises(ImageError, match="entry 1, offset 0: pstree_entry lacks ppid, pgid, sid"):
        pstree(TASK, pb.pstree_entry(pid=1))
    with pytest.raises(ImageError, match="fown_entry instead of pstree_entry"):
        image_bytes(CATALOG["PSTREE"], [pb.fown_entry()], "pstree.img")


def test_type_from_the_magic() -> None:
    assert guess_type(pstree(), "-") is CATALOG["PSTREE"]
    assert guess_type(pstree()[4:], "-") is CATALOG["PSTREE"]
    with pytest.raises(ImageError, match="no type of image has this magic"):
        guess_type(b"\x7fELF\x02\x01\x01\0", "-")
