//! Makes `_rt0_amd64_linux` the ELF entry of every executable that ends up with this crate in it.
//!
//! The linker is handed a "library" that is one line of linker script, `ENTRY(_rt0_amd64_linux)`.
//! `rustc-link-lib` and `rustc-link-search` reach dependents, so their authors set no flag. lld and
//! GNU ld obey; gold ignores the line (the entry stays `_start`, and boot starts at `rt0::run`);
//! mold 1.x refuses to link it, so with mold, feature `no-entry` or RT0_NO_ENTRY the line is left
//! out.

#![allow(clippy::disallowed_macros, reason = "a build script speaks to cargo by println")]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RT0_NO_ENTRY");
    println!("cargo:rustc-check-cfg=cfg(rt0_entry)");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let opted_out = env::var_os("CARGO_FEATURE_NO_ENTRY").is_some()
        || env::var_os("RT0_NO_ENTRY").is_some_and(|v| v != "0")
        || flags.contains("mold")
        || flags.contains("--cfg\u{1f}loom");
    if opted_out {
        return;
    }
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let script = Path::new(&out).join("librt0entry.a");
    fs::write(&script, "ENTRY(_rt0_amd64_linux)\n").expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static:-bundle=rt0entry");
    println!("cargo:rustc-cfg=rt0_entry");
}
