"""Settings: what counts over what, what is refused, and the engine's options that come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commandline.settings import dump_options, refuse, restore_options, settle
from engine.errors import Refused, UsageError
from engine.options import DumpOptions, RestoreOptions


def test_the_command_line_counts_over_the_files_in_their_order(tmp_path: Path) -> None:
    (tmp_path / ".criu").mkdir()
    (tmp_path / ".criu/default.conf").write_text("timeout 1\nghost-limit 1K\nlog-file user\n")
    (tmp_path / "third").write_text("timeout 2\nghost-limit 2K\n")
    environ = {"HOME": str(tmp_path), "CRIU_CONFIG_FILE": str(tmp_path / "third")}
    values = settle(["dump", "--timeout", "3"], environ).values
    assert (values["timeout"], values["ghost_limit"], values["log_file"]) == (3, 2048, "user")


def test_options_that_repeat_add_up_over_files_and_command_line(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("action-script first\n")
    argv = ["dump", "--config", str(tmp_path / "conf"), "--action-script", "second"]
    assert settle(argv, {}).values["action_script"] == ("first", "second")


def test_the_last_of_option_and_negation_counts() -> None:
    assert settle(["-j", "--no-shell-job"], {}).values["shell_job"] is False
    assert settle(["--no-shell-job", "-j"], {}).values["shell_job"] is True


def test_a_bad_value_names_its_option() -> None:
    with pytest.raises(UsageError, match="--timeout soon: a number that is not negative is expected"):
        settle(["--timeout", "soon"], {})


def test_dump_options() -> None:
    argv = [
        "dump",
        "-t",
        "7",
        "-Rj",
        "--ghost-limit",
        "4M",
        "--action-script",
        "x",
        "--ext-unix-sk",
        "--explain",
    ]
    expected = DumpOptions(
        pid=7,
        leave_running=True,
        shell_job=True,
        ghost_limit=4 << 20,
        action_scripts=("x",),
        ext_unix_sk=True,
        explain=True,
    )
    assert dump_options(settle(argv, {})) == expected


def test_dump_needs_a_pid() -> None:
    with pytest.raises(UsageError, match="--tree PID"):
        dump_options(settle(["dump"], {}))


def test_restore_options() -> None:
    argv = ["restore", "-dS", "--pidfile", "p", "-j", "--skip-file-rwx-check"]
    expected = RestoreOptions(detached=True, sibling=True, pidfile="p", shell_job=True, skip_file_rwx_check=True)
    assert restore_options(settle(argv, {})) == expected


def test_daemon_is_the_same_as_restore_detached() -> None:
    assert restore_options(settle(["restore", "--daemon"], {})).detached
    assert not restore_options(settle(["restore", "-d", "--no-daemon"], {})).detached
    assert restore_options(settle(["restore", "--no-restore-detached", "--daemon"], {})).detached


def test_the_program_of_exec_cmd() -> None:
    options = restore_options(settle(["restore", "--exec-cmd", "--", "prog", "-d"], {}))
    assert options.exec_cmd == ("prog", "-d")
    assert not options.detached


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--exec-cmd"], "needs a program"),
        (["--exec-cmd", "-d", "--", "prog"], "exclude one another"),
        (["-S"], "needs --restore-detached"),
    ],
)
def test_contradictions(argv: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        restore_options(settle(["restore", *argv], {}))


def test_all_unsupported_options_are_refused_at_once() -> None:
    with pytest.raises(Refused) as caught:
        refuse(settle(["dump", "--page-server", "--prev-images-dir", "before"], {}))
    assert [obstacle.subject for obstacle in caught.value.obstacles] == ["--prev-images-dir", "--page-server"]


@pytest.mark.parametrize(
    "argv",
    [
        ["dump", "--no-track-mem", "--no-stream"],
        ["restore", "--track-mem"],  # restore never knew it
        ["restore", "--cpu-cap=none"],
        ["dump", "--network-lock", "none"],
        ["dump", "--cgroup-root", "/a"],
        # what lxc-checkpoint passes
        ["dump", "--tcp-established", "--file-locks", "--link-remap", "--manage-cgroups=full",
         "--ext-mount-map", "auto", "--enable-external-sharing", "--enable-external-masters",
         "--enable-fs", "hugetlbfs", "--enable-fs", "tracefs", "-D", "x", "-o", "y", "--cgroup-root", "cpu:/",
         "-v4", "-t", "7", "--skip-in-flight", "--freeze-cgroup", "/c", "--force-irmap"],
        # what CRIU's test runner passes
        ["dump", "--no-default-config", "--log-file", "NAME", "--images-dir", "D", "--verbosity=4",
         "--pidfile", "P", "--timeout", "10", "--pre-dump-mode", "splice", "--status-fd", "9", "-t", "7"],
    ],
)  # fmt: skip
def test_what_has_no_effect_is_accepted(argv: list[str]) -> None:
    refuse(settle(argv, {}))
