//! Where libtorch lies must be known when this crate is built.

use std::env;

/// Tests of this crate, and the binaries that link it, find libtorch at run time where it was found
/// at build time.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let lib = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch lies");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    println!("cargo::metadata=libtorch_lib={lib}");
}
