"""Weights & Biases: only on request, and offline unless somebody is logged in."""

import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from PIL import Image

from rl_expire.runs.tracking import RUN_ID, Tracker, logged_in

VARIABLES = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_GROUP", "NETRC")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, without an account."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "netrc", "answer"),
    [
        ({}, None, False),
        ({"WANDB_API_KEY": "x" * 40}, None, True),
        ({}, "machine api.wandb.ai\n  login user\n  password xyz\n", True),
        ({}, "machine example.org\n  login user\n  password xyz\n", False),
        ({}, "nonsense", False),
        ({"WANDB_MODE": "offline", "WANDB_API_KEY": "x" * 40}, None, False),
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "x" * 40}, None, False),
        ({"WANDB_MODE": "online"}, None, True),
        ({"WANDB_API_KEY": ""}, None, False),
    ],
)
def test_the_environment_and_then_netrc_decide_whether_somebody_is_logged_in(
    environment: dict[str, str],
    netrc: str | None,
    answer: bool,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if netrc is not None:
        (home / ".netrc").write_text(netrc)
        (home / ".netrc").chmod(0o600)
    assert logged_in() is answer


def test_a_disabled_tracker_does_nothing_and_does_not_import_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it would raise
    tracker = Tracker(False, folder=tmp_path, config={}, group="x")
    tracker.log({"steps": 1})
    tracker.log_results({"success": 1.0})
    tracker.finish([tmp_path / "retention.mp4"])
    assert not list(tmp_path.iterdir())


class FakeRun:
    """Record what is logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[Any, Any]] = []
        self.summary: dict[str, Any] = {}
        self.finished = False

    def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.logged.append((metrics, step))

    def finish(self) -> None:
        self.finished = True


class FakeWandb:
    """The part of wandb that is used."""

    def __init__(self) -> None:
        self.run, self.options = FakeRun(), {}

    def init(self, **options: Any) -> FakeRun:
        self.options = options
        return self.run

    @staticmethod
    def Video(path: str, format: str) -> tuple[str, str]:  # noqa: N802 (wandb's name)
        return path, format

    @staticmethod
    def Html(path: str, inject: bool) -> tuple[str, str]:  # noqa: N802
        return path, "as it is" if not inject else "changed"

    @staticmethod
    def Image(path: str) -> tuple[str, str]:  # noqa: N802
        return path, "image"


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # pyright: ignore[reportArgumentType]
    return fake


@pytest.mark.parametrize("mode", ["offline", "online", "disabled"])
def test_the_users_wandb_mode_is_kept(
    mode: str, wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    Tracker(True, folder=tmp_path, config={}, group="Corridor")
    assert wandb.options["mode"] == mode


def test_disabled_wandb_writes_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    picture = tmp_path / "kept.png"
    Image.new("RGB", (2, 2)).save(picture)
    tracker = Tracker(True, folder=tmp_path, config={"seed": 1}, group="Corridor")
    tracker.log({"steps": 1, "success": 0.5})
    tracker.log_results({"eval.success": 0.5})
    tracker.finish([picture])
    assert list(tmp_path.rglob("*.wandb")) == []


@pytest.mark.parametrize("key", [None, "x" * 40])
def test_a_run_is_online_only_if_somebody_is_logged_in(
    key: str | None, wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    (tmp_path / "run-7").mkdir()
    Tracker(True, folder=tmp_path / "run-7", config={"seed": 7}, group="Corridor")
    assert wandb.options["mode"] == ("online" if key else "offline")
    assert wandb.options["name"] == "run-7"
    assert wandb.options["config"] == {"seed": 7}


def test_a_resumed_run_continues_on_wandb_and_others_do_not(
    wandb: FakeWandb, tmp_path: Path
) -> None:
    ids = []
    for name in ("one", "one", "two"):
        (tmp_path / name).mkdir(exist_ok=True)
        Tracker(True, folder=tmp_path / name, config={}, group="Corridor")
        assert wandb.options["resume"] == "allow"
        ids.append(wandb.options["id"])
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("content", [b"", b"../../x", b"x" * 100, b"\xff\x00", b"a b"])
def test_a_damaged_id_is_replaced(content: bytes, wandb: FakeWandb, tmp_path: Path) -> None:
    (tmp_path / RUN_ID).write_bytes(content)
    for _ in range(2):
        Tracker(True, folder=tmp_path, config={}, group="Corridor")
        assert len(wandb.options["id"]) == 8
    assert (tmp_path / RUN_ID).read_text().strip() == wandb.options["id"]


@pytest.mark.parametrize(
    ("variable", "group"), [(None, "Corridor"), ("", "Corridor"), ("Together", "Together")]
)
def test_the_users_wandb_group_wins(
    variable: str | None,
    group: str,
    wandb: FakeWandb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("WANDB_RUN_GROUP", variable)
    Tracker(True, folder=tmp_path, config={}, group="Corridor")
    assert wandb.options["group"] == group


def test_metrics_are_logged_against_environment_steps_with_none_for_nan(
    wandb: FakeWandb, tmp_path: Path
) -> None:
    tracker = Tracker(True, folder=tmp_path, config={}, group="Corridor")
    tracker.log({"steps": 512, "success": float("nan")})
    names = ("retention.mp4", "retention.html", "heat_map.png")
    video, page, still = (str(tmp_path / name) for name in names)
    pictures = [tmp_path / name for name in names]
    tracker.log_results({"eval.success": 1.0, "span": float("nan")})
    tracker.finish(pictures)
    steps = [step for _, step in wandb.run.logged]
    assert wandb.run.logged[0] == ({"steps": 512, "success": None}, 512)
    assert wandb.run.logged[1][0] == {
        "video/retention": (video, "mp4"),
        "page/retention": (page, "as it is"),
        "still/heat_map": (still, "image"),
    }
    assert steps == [512, None]
    assert wandb.run.summary == {"eval.success": 1.0, "span": None}
    assert wandb.run.finished


def test_a_stopped_run_is_closed_without_results(wandb: FakeWandb, tmp_path: Path) -> None:
    Tracker(True, folder=tmp_path, config={}, group="x").finish()
    assert wandb.run.finished
    assert wandb.run.logged == []


def test_an_offline_run_is_written_into_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracker = Tracker(True, folder=tmp_path, config={"seed": 1}, group="Corridor")
    logged = [n / 1024 for n in range(1, 21)]
    for step, success in enumerate(logged):
        tracker.log({"steps": step, "success": success})
    (tmp_path / "retention.mp4").write_bytes(b"a video")
    (tmp_path / "retention.html").write_text("<p>a page</p>")
    Image.new("RGB", (2, 2)).save(tmp_path / "kept.png")
    pictures = [tmp_path / name for name in ("retention.mp4", "retention.html", "kept.png")]
    tracker.log_results({"eval.success": 0.5})
    tracker.finish(pictures)
    for kind, path in zip(("videos/video", "html/page", "images/still"), pictures, strict=True):
        (copy,) = tmp_path.glob(f"wandb/offline-run-*/files/media/{kind}/*{path.suffix}")
        assert copy.read_bytes() == path.read_bytes()
    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    deadline = monotonic() + 30
    while b"eval.success" not in written.read_bytes() and monotonic() < deadline:
        sleep(0.05)  # wandb's service may still be writing after `finish` has returned
    content = written.read_bytes()
    assert b"eval.success" in content
    # The blocks of the file may split one or two values.
    assert sum(str(success).encode() in content for success in logged) >= 18
