//! The binary finds libtorch at run time where it was found at build time; `LD_LIBRARY_PATH` names
//! another one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_OUTGROW_TRAIN_LIBTORCH_LIB")
        .expect("outgrow-train says where libtorch lies");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
}
