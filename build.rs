//! Link arguments of the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in [
        "-Wl,-soname,libsslsock.so.0",
        // Threads, exit and fork handlers of the library must never lose their code.
        "-Wl,-z,nodelete",
        // A program's own function of the same name must not take the place of ours.
        "-Wl,-Bsymbolic",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
