//! LoadLibrary and GetProcAddress, for the libraries whose functions these headers have: nothing is loaded.

use super::error::{ERROR_MOD_NOT_FOUND, ERROR_PROC_NOT_FOUND, failure};
use crate::error::Result;

/// A library of Windows CE with the functions that there are of it.
pub struct Library<F: 'static> {
    /// In small letters, without the ending; the first is its name proper.
    pub names: &'static [&'static str],
    pub functions: &'static [(&'static str, F)],
}

/// The library of that name: with or without a path and ".dll", in any case.
pub fn find<'a, F>(libraries: &'a [Library<F>], name: &str) -> Result<&'a Library<F>> {
    let plain = name.rsplit(['\\', '/']).next().unwrap_or(name).to_ascii_lowercase();
    // The loader takes a dot at the end for "no ending".
    let plain = plain.strip_suffix(".dll").or(plain.strip_suffix('.')).unwrap_or(&plain);
    libraries.iter().find(|library| library.names.contains(&plain)).ok_or_else(|| {
        failure(
            ERROR_MOD_NOT_FOUND,
            format!("{name:?} is no library of which there are functions here"),
        )
    })
}

impl<F> Library<F> {
    pub fn function(&self, name: &str) -> Result<&F> {
        let found = self.functions.iter().find(|&&(listed, _)| listed == name);
        found.map(|(_, function)| function).ok_or_else(|| {
            failure(ERROR_PROC_NOT_FOUND, format!("there is no {name:?} in {}.dll", self.names[0]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARIES: &[Library<u32>] = &[
        Library { names: &["schannel"], functions: &[("SslFree", 1), ("SslCrack", 2)] },
        Library { names: &["ws2", "winsock"], functions: &[] },
    ];

    #[test]
    fn a_library_is_found_however_it_is_written() {
        for name in
            ["schannel", "Schannel.dll", "SCHANNEL.DLL", "\\windows\\schannel.dll", "a/schannel."]
        {
            assert!(find(LIBRARIES, name).unwrap().function("SslCrack").is_ok(), "{name}");
        }
        assert_eq!(find(LIBRARIES, "WinSock.dll").unwrap().names[0], "ws2");
    }

    #[test]
    fn what_is_not_there_has_windowss_number() {
        for name in ["", "user32.dll", "schannel.exe", "libssl.so", ".dll"] {
            let error = find(LIBRARIES, name).err().unwrap();
            assert_eq!(error.windows, ERROR_MOD_NOT_FOUND, "{name}");
        }
        let library = find(LIBRARIES, "schannel").unwrap();
        // Names of functions have a case.
        assert_eq!(library.function("sslcrack").unwrap_err().windows, ERROR_PROC_NOT_FOUND);
    }
}
