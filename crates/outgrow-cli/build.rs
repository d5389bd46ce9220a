//! The binary finds libtorch at run time where it was found at build time, or where
//! `OUTGROW_RPATH` says at build time (`$ORIGIN` is the folder of the binary); `LD_LIBRARY_PATH`
//! names another one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=OUTGROW_RPATH");
    let lib = std::env::var("OUTGROW_RPATH")
        .or_else(|_| std::env::var("DEP_OUTGROW_TRAIN_LIBTORCH_LIB"))
        .expect("outgrow-train says where libtorch lies");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    let commit = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output();
    let commit = commit.ok().filter(|output| output.status.success());
    let commit = commit
        .map_or_else(|| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    println!("cargo::rustc-env=OUTGROW_COMMIT={commit}");
    println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
}
