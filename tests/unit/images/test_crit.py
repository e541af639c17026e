"""JSON: the form that crit writes (seen in crit 4.1.1's output), and no loss on the way there and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images import crit, pb
from engine.images.catalog import CATALOG, ImageType
from engine.images.format import Entry, image_bytes
from engine.images.payload import join_queue
from tests.unit.images.messages import WITH_MESSAGES, entries

ROWS = ("G12",)
FOWN = pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)
SHOWN_FOWN = {"uid": 0, "euid": 0, "signum": 0, "pid_type": 0, "pid": 0}
DESC = pb.ipc_desc_entry(key=1, uid=0, gid=0, cuid=0, cgid=0, mode=0o600, id=7)
OPTS = pb.sk_opts_entry(
    so_sndbuf=0, so_rcvbuf=0, so_snd_tmo_sec=0, so_snd_tmo_usec=0, so_rcv_tmo_sec=0, so_rcv_tmo_usec=0
)


def decode(kind: str, *messages: Any, pretty: bool = False) -> list[dict[str, Any]]:
    """The entries of a file with these messages, after a way back that must be without loss."""
    data = image_bytes(CATALOG[kind], messages, "f")
    image = crit.decode_bytes(data, "f", pretty)
    assert crit.encode(json.loads(json.dumps(image)), "f") == data
    shown: list[dict[str, Any]] = image["entries"]
    return shown


def encode(kind: str, *values: Any) -> bytes:
    return crit.encode({"magic": kind, "entries": list(values)}, "f")


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("type_", WITH_MESSAGES, ids=[type_.kind for type_ in WITH_MESSAGES])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_decode_and_encode_are_inverse(type_: ImageType, pretty: bool, data: st.DataObject) -> None:
    raw = image_bytes(type_, data.draw(entries(type_)), type_.kind)
    image = crit.decode_bytes(raw, "f", pretty)
    assert crit.encode(json.loads(json.dumps(image)), "f") == raw
    assert CATALOG[image["magic"]].magic == type_.magic


def test_plain_form() -> None:
    vma = pb.vma_entry(start=0x1000, end=0x2000, pgoff=0, shmid=0, prot=3, flags=0x22, status=0x201, fd=-1)
    assert decode("VMAS", vma) == [
        {"start": 4096, "end": 8192, "pgoff": 0, "shmid": 0, "prot": 3, "flags": 34, "status": 513, "fd": -1}
    ]


def test_hexadecimal_and_flags() -> None:
    vma = pb.vma_entry(start=0x1000, end=0x2000, pgoff=16, shmid=0, prot=3, flags=0, status=0x80000201, fd=-1)
    (shown,) = decode("VMAS", vma, pretty=True)
    assert (shown["start"], shown["end"], shown["pgoff"]) == ("0x1000", "0x2000", 16)
    assert (shown["prot"], shown["flags"]) == ("PROT_READ | PROT_WRITE", "")
    assert shown["status"] == "VMA_AREA_REGULAR | VMA_ANON_PRIVATE | VMA_UNSUPP"
    file = pb.reg_file_entry(id=1, flags=0o100002 | 1 << 20, pos=0, fown=FOWN, name="/a")
    assert decode("REG_FILES", file, pretty=True)[0]["flags"] == "O_RDWR | O_LARGEFILE | 0x100000"


def test_hexadecimal_messages() -> None:
    regs = {field.name: 16 for field in pb.user_x86_regs_entry().DESCRIPTOR.fields if field.name != "mode"}
    core = pb.core_entry(mtype=pb.core_entry.X86_64)
    core.thread_info.gpregs.CopyFrom(pb.user_x86_regs_entry(**regs, mode=pb.COMPAT))
    core.thread_info.clear_tid_addr = 0x7FFF12345678
    core.thread_info.fpregs.CopyFrom(
        pb.user_x86_fpregs_entry(cwd=255, swd=0, twd=0, fop=0, rip=0, rdp=0, mxcsr=0, mxcsr_mask=0, st_space=[1])
    )
    (shown,) = decode("CORE", core, pretty=True)
    assert shown["mtype"] == "X86_64"
    assert shown["thread_info"]["clear_tid_addr"] == "0x7fff12345678"
    assert shown["thread_info"]["gpregs"] == {**dict.fromkeys(regs, "0x10"), "mode": "COMPAT"}
    assert (shown["thread_info"]["fpregs"]["cwd"], shown["thread_info"]["fpregs"]["st_space"]) == (255, [1])


@pytest.mark.parametrize(("state", "word"), [(1, "Alive"), (2, 2), (3, "Zombie"), (6, "Stopped")])
def test_task_states(state: int, word: str | int) -> None:
    core = pb.core_entry(mtype=pb.core_entry.X86_64)
    core.tc.CopyFrom(pb.task_core_entry(task_state=state, exit_code=0, personality=0, flags=0, blk_sigset=0, comm="a"))
    assert decode("CORE", core, pretty=True)[0]["tc"]["task_state"] == word


def test_sockets() -> None:
    sk = pb.inet_sk_entry(
        id=1, ino=2, family=10, type=1, proto=6, state=10, src_port=80, dst_port=0, flags=2, backlog=5,
        src_addr=[0x0100007F], dst_addr=[0, 0, 0, 0x01000000], fown=FOWN, opts=OPTS, shutdown=pb.sk_shutdown.BOTH,
    )  # fmt: skip
    (shown,) = decode("INETSK", sk, pretty=True)
    assert [shown[name] for name in ("family", "type", "proto", "state")] == ["INET6", "STREAM", "TCP", "LISTEN"]
    assert (shown["src_addr"], shown["dst_addr"]) == (["127.0.0.1"], ["::1"])
    assert shown["shutdown"] == "BOTH"
    assert decode("INETSK", sk)[0]["src_addr"] == [0x0100007F]


def test_odd_addresses_stay_numbers() -> None:
    sit = pb.sit_entry(local=[1, 2, 3], remote=[])
    device = pb.net_device_entry(type=pb.SIT, ifindex=1, mtu=2, flags=3, name="sit0", sit=sit)
    assert decode("NETDEV", device, pretty=True)[0]["sit"] == {"local": [1, 2, 3]}


def test_device_numbers() -> None:
    ghost = pb.ghost_file_entry(uid=0, gid=0, mode=0o010644, dev=8 << 20 | 1, rdev=0x801)
    (shown,) = decode("GHOST_FILE", ghost, pretty=True)
    assert (shown["dev"], shown["rdev"]) == ("8:1", "8:1")


def unix(name: bytes) -> pb.unix_sk_entry:
    return pb.unix_sk_entry(
        id=1, ino=1, type=1, state=1, flags=2, uflags=0, backlog=0, peer=0, fown=FOWN, opts=OPTS, name=name
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"\0abc", "=00abc"),
        (b"/tmp/a=b c?\n", "/tmp/a=3Db c?\n"),
        (b"\xff ", "=FF=20"),
        (b".", "=2E"),
        (b"x" * 80, "x" * 75 + "=\nxxxxx"),
        (b"a\r\nb\n", "a=0D=0Ab=0A"),  # line ends of two kinds: crit would lose them
    ],
)
def test_names_of_unix_sockets(name: bytes, text: str) -> None:
    assert decode("UNIXSK", unix(name))[0]["name"] == text


def test_bytes_and_enums() -> None:
    seccomp = pb.seccomp_entry(seccomp_filters=[pb.seccomp_filter(filter=bytes(60), prev=1)])
    assert decode("SECCOMP", seccomp) == [{"seccomp_filters": [{"filter": "A" * 76 + "\nAAAA\n", "prev": 1}]}]
    file = pb.file_entry(type=pb.CTL_TTY, id=1)
    assert decode("FILES", file) == [{"type": "CTL_TTY", "id": 1}]


PAYLOADS: list[tuple[str, Any, bytes, Any]] = [
    ("PIPES_DATA", pb.pipe_data_entry(pipe_id=5, bytes=3), b"abc", "YWJj\n"),
    ("FIFO_DATA", pb.pipe_data_entry(pipe_id=5, bytes=0), b"", ""),
    ("SK_QUEUES", pb.sk_packet_entry(id_for=1, length=4), b"ping", "cGluZw==\n"),
    (
        "TCP_STREAM",
        pb.tcp_stream_entry(inq_len=2, inq_seq=1, outq_len=3, outq_seq=1, opt_mask=0, snd_wscale=0, mss_clamp=9),
        b"inout",
        {"inq": "aW4=\n", "outq": "b3V0\n"},
    ),
    (
        "BPFMAP_DATA",
        pb.bpfmap_data_entry(map_id=1, keys_bytes=1, values_bytes=2, count=1),
        b"kvv",
        "a3Z2\n",
    ),
    ("IPCNS_SEM", pb.ipc_sem_entry(desc=DESC, nsems=3), b"\1\0\2\0\3\1\0\0", [1, 2, 259]),
    ("IPCNS_SHM", pb.ipc_shm_entry(desc=DESC, size=5), b"12345\0\0\0", "MTIzNDU=\n"),
    ("IPCNS_SHM", pb.ipc_shm_entry(desc=DESC, size=5, in_pagemaps=True), b"", ""),
    (
        "IPCNS_MSG",
        pb.ipc_msg_entry(desc=DESC, qbytes=16, qnum=2),
        join_queue([(pb.ipc_msg(mtype=1, msize=5), b"hello"), (pb.ipc_msg(mtype=2, msize=0), b"")]),
        [{"mtype": 1, "msize": 5}, "aGVsbG8=\n", {"mtype": 2, "msize": 0}, ""],
    ),
    ("GHOST_FILE", pb.ghost_file_entry(uid=0, gid=0, mode=0o100644), b"hello\xff", "aGVsbG//\n"),
    ("GHOST_FILE", pb.ghost_file_entry(uid=0, gid=0, mode=0o010644), b"", ""),
]


@pytest.mark.parametrize(("kind", "message", "payload", "extra"), PAYLOADS)
def test_payloads(kind: str, message: Any, payload: bytes, extra: Any) -> None:
    (shown,) = decode(kind, (message, payload))
    assert shown["extra"] == extra
    assert "payload" not in shown


def test_chunks_of_a_ghost() -> None:
    head = pb.ghost_file_entry(uid=0, gid=0, mode=0o100644, chunks=True, size=8192)
    assert decode("GHOST_FILE", head, (pb.ghost_chunk_entry(len=3, off=0), b"abc")) == [
        {"uid": 0, "gid": 0, "mode": 0o100644, "chunks": True, "size": 8192},
        {"len": 3, "off": 0, "extra": "YWJj\n"},
    ]


def test_padding_is_kept() -> None:
    (shown,) = decode("IPCNS_SEM", (pb.ipc_sem_entry(desc=DESC, nsems=1), b"\1\0junk!!"))
    assert (shown["extra"], shown["payload"]) == ([1], "AQBqdW5rISE=\n")


def test_text_that_is_not_utf8() -> None:
    data = image_bytes(CATALOG["UTSNS"], [pb.utsns_entry(nodename="ab", domainname="c")], "f").replace(b"ab", b"\xffb")
    image = crit.decode_bytes(data, "f")
    assert image["entries"] == [{"nodename": "\udcffb", "domainname": "c"}]
    assert crit.encode(json.loads(json.dumps(image)), "f") == data


def test_fields_of_a_later_version_are_kept() -> None:
    timens = pb.timens_entry(monotonic=pb.timespec(tv_sec=1, tv_nsec=2), boottime=pb.timespec(tv_sec=1, tv_nsec=2))
    timens.boottime.MergeFromString(b"\xa0\x06\x07")
    timens.MergeFromString(b"\xa2\x06\x01x")
    (shown,) = decode("TIMENS", timens)
    assert shown["unknown fields"] == "ogYBeA==\n"
    assert shown["boottime"]["unknown fields"] == "oAYH\n"


def test_encode_takes_what_people_write() -> None:
    plain = {"start": 16, "end": 32, "pgoff": 0, "shmid": 0, "prot": 1, "flags": 2, "status": 0x18001, "fd": -1}
    written = {**plain, "start": "0x10", "end": "32", "prot": " PROT_READ", "flags": "0x2"}
    written["status"] = "VMA_AREA_SHSTK|0x10000 | VMA_AREA_REGULAR"
    assert encode("VMAS", written) == encode("VMAS", plain)
    assert encode("VMAS", {**written, "prot": "PROT_READ | 0x1"}) == encode("VMAS", plain)
    assert encode("VMAS", {**written, "prot": "PROT_READ | 0x3"}) == encode("VMAS", {**plain, "prot": 3})
    sk = {**decode("UNIXSK", unix(b"a"))[0], "type": "DGRAM"}
    assert encode("UNIXSK", sk) == encode("UNIXSK", {**sk, "type": 2})


PSTREE = {"pid": 1, "ppid": 0, "pgid": 1, "sid": 1}


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        ([], "no type of image with messages called None"),
        ({"magic": "NONE", "entries": []}, "called 'NONE'"),
        ({"magic": ["CORE"], "entries": []}, r"called \['CORE'\]"),
        ({"magic": "PAGES", "entries": []}, "called 'PAGES'"),
        ({"magic": "PSTREE"}, "the list of entries is missing"),
        ({"magic": "PSTREE", "entries": [5]}, r"entries\[0\]: 5 is no pstree_entry"),
        ({"magic": "PSTREE", "entries": [PSTREE, {"x": 1}]}, r"entries\[1\]\.x: pstree_entry has no such field"),
        ({"magic": "PSTREE", "entries": [{"pid": 1}]}, "entry 0, .* pstree_entry lacks ppid, pgid, sid"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "pid": -1}]}, r"entries\[0\]\.pid: -1 does not fit"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "pid": 1.5}]}, r"pid: 1\.5 is no int"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "pid": True}]}, "pid: True is no int"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "pid": "one"}]}, "pid: 'one' does not fit"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "threads": 5}]}, "threads: 5 is no list"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "threads": [1, {}]}]}, r"threads\[1\]: {} is no int"),
        ({"magic": "PSTREE", "entries": [{**PSTREE, "extra": ""}]}, "extra: entries of PSTREE have no payload"),
        ({"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 0}]}, "extra is missing"),
        ({"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 1, "extra": ""}]}, "the file ends after 0"),
        ({"magic": "FIFO_DATA", "entries": [{"pipe_id": 1, "bytes": 0, "extra": "YQ=="}]}, "1 bytes does not fit"),
        ({"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 0, "extra": "?"}]}, r"'\?' is no base64"),
        ({"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 0, "extra": None}]}, "None is no base64"),
        ({"magic": "FILES", "entries": [{"type": "NONE", "id": 1}]}, "'NONE' does not fit: fd_types has no such value"),
        ({"magic": "FILES", "entries": [{"type": 99, "id": 1}]}, "type: 99 does not fit"),
        ({"magic": "FILES", "entries": [{"type": 1, "id": 1, "reg": "x"}]}, r"reg: 'x' is no reg_file_entry"),
        ({"magic": "UTSNS", "entries": [{"nodename": 5, "domainname": ""}]}, "nodename: 5 is no str"),
        ({"magic": "UTSNS", "entries": [{"nodename": "\ud800", "domainname": ""}]}, "nodename: .* does not fit"),
        ({"magic": "UTSNS", "entries": []}, "utsns_entry is missing"),
        ({"magic": "PSTREE", "entries": [{"unknown fields": "/w=="}]}, "unknown fields: '/w==' are no fields"),
        ({"magic": "INVENTORY", "entries": [{"img_version": 2, "fdinfo_per_id": 1}]}, "fdinfo_per_id: 1 is no bool"),
    ],
)  # fmt: skip
def test_what_is_no_image(image: Any, cause: str) -> None:
    with pytest.raises(ImageError, match=cause):
        crit.encode(image, "image.json")


def test_a_device_number_beyond_all_measure() -> None:
    ghost = {"uid": 0, "gid": 0, "mode": 0o010644, "dev": 1, "ino": 1, "rdev": "-99999999999:1", "extra": ""}
    with pytest.raises(ImageError, match="rdev: '-99999999999:1' does not fit"):
        crit.encode({"magic": "GHOST_FILE", "entries": [ghost]}, "image.json")


def test_show_without_payloads(tmp_path: Path) -> None:
    path = tmp_path / "pipes-data.img"
    pipes = [Entry(pb.pipe_data_entry(pipe_id=5, bytes=size), bytes(size)) for size in (0, 1023, 1024, 5000)]
    path.write_bytes(image_bytes(CATALOG["PIPES_DATA"], pipes, "f"))
    shown = crit.show(str(path), payloads=False)["entries"]
    assert [entry["extra"] for entry in shown] == ["... <0B>", "... <1023B>", "... <1KB>", "... <4.9KB>"]
    assert crit.show(str(path))["entries"][0]["extra"] == ""


def test_info(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(image_bytes(CATALOG["PSTREE"], [], "f"))
    assert crit.info(str(path)) == {"magic": "PSTREE", "count": 0}


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        crit.decode(str(tmp_path / "core-1.img"))
    with pytest.raises(ImageError, match="files of type PAGES are raw data"):
        crit.decode(str(tmp_path / "pages-1.img"))
