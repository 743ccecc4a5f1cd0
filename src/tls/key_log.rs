//! Files with the secrets of sessions, for finding errors (NSS key log format).

use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::KeyLog;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result, quote};
use crate::sys::file::{self, FileIdentity};
use crate::sys::private_fd::PrivateFd;
use crate::sys::process::{self, PerProcess};

/// A file that secrets are appended to. Equal if it is the same one: configurations are shared, and
/// a file that was made anew under its old path is another.
#[derive(Clone, Debug)]
pub struct KeyLogFile(Arc<OpenFile>);

#[derive(Debug)]
struct OpenFile {
    /// Absolute.
    path: PathBuf,
    identity: FileIdentity,
    fd: PrivateFd,
    /// The process that has opened it.
    epoch: usize,
}

impl KeyLogFile {
    /// Opens the file, or makes it for its owner alone. One that is open already is shared.
    pub fn open(path: &Path) -> Result<Self> {
        if process::runs_with_foreign_rights() {
            return Err(Error::new(
                Code::STATE,
                "secrets are not written to a file in a program that runs with more rights than \
                 its user",
            ));
        }
        process::watch_forks();
        let name = format!("the key log file {}", quote(path.as_os_str().as_bytes()));
        let absolute = std::path::absolute(path).map_err(|error| file::failed(&name, &error))?;
        let (fd, identity) = file::append(&absolute, &name)?;
        let mut files =
            FILES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|file| file.strong_count() > 0);
        let shared = files.iter().filter_map(Weak::upgrade).find(|file| file.identity == identity);
        if let Some(file) = shared {
            return Ok(Self(file));
        }
        let fd = PrivateFd::adopt(fd)?;
        let file = OpenFile { path: absolute, identity, fd, epoch: process::epoch() };
        let file = Arc::new(file);
        files.push(Arc::downgrade(&file));
        Ok(Self(file))
    }

    /// The same file for this process: a forked child opens it anew.
    pub fn of_this_process(&self) -> Result<Self> {
        if self.0.epoch == process::epoch() { Ok(self.clone()) } else { Self::open(&self.0.path) }
    }

    /// What rustls gives the secrets to.
    pub fn sink(&self) -> Arc<dyn KeyLog> {
        self.0.clone()
    }
}

impl PartialEq for KeyLogFile {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for KeyLogFile {}

impl Hash for KeyLogFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl KeyLog for OpenFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // In a child the number may be somebody else's by now.
        if self.epoch != process::epoch() {
            return;
        }
        // Room for all of it: no copy is left behind where it had to grow.
        let length = label.len() + 2 * (client_random.len() + secret.len()) + 3;
        let mut line = Zeroizing::new(String::with_capacity(length));
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // A String takes everything.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // One write, so that lines of several processes stay whole. The session matters more than
        // its record: a full disk does not end it.
        let _ = rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, line.as_bytes()));
    }
}

static FILES: PerProcess<Mutex<Vec<Weak<OpenFile>>>> = PerProcess::new();

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sys::test_sockets::{in_child, raise_descriptor_limit};

    /// A path that nothing has, and that nothing keeps.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = format!("sslsock-key-log-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(place))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn lines_are_appended_to_a_file_for_its_owner_alone() {
        raise_descriptor_limit();
        let place = Place::new("lines");
        let file = KeyLogFile::open(&place.0).unwrap();
        assert!(file.0.fd.as_raw_fd() >= 1024);
        file.sink().log("LABEL", &[0x01, 0xff], &[0xab]);
        let mode = std::fs::metadata(&place.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.sink().log("OTHER", &[], &[0]);
        let content = std::fs::read_to_string(&place.0).unwrap();
        assert_eq!(content, "LABEL 01ff ab\nOTHER  00\n");
        assert!(!format!("{file:?}").contains("01ff"));
    }

    #[test]
    fn a_file_is_shared_as_long_as_it_is_the_same() {
        let place = Place::new("shared");
        let first = KeyLogFile::open(&place.0).unwrap();
        let indirect = place.0.parent().unwrap().join(".").join(place.0.file_name().unwrap());
        assert_eq!(first, KeyLogFile::open(&indirect).unwrap());
        std::fs::remove_file(&place.0).unwrap();
        let second = KeyLogFile::open(&place.0).unwrap();
        assert_ne!(first, second);
        second.sink().log("LABEL", &[1], &[2]);
        assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "LABEL 01 02\n");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for path in ["/", "/dev/null", "/no/such/directory/log", ""] {
            let error = KeyLogFile::open(Path::new(path)).unwrap_err();
            assert_eq!(error.code, Code::IO, "{path}: {}", error.text);
            assert!(error.text.contains("key log file"), "{}", error.text);
        }
    }

    #[test]
    fn nothing_is_written_to_a_number_of_the_parents() {
        let place = Place::new("child");
        let file = KeyLogFile::open(&place.0).unwrap();
        assert!(in_child(|| {
            file.sink().log("CHILD", &[1], &[2]);
            // What came in the number's place.
            true
        }));
        assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "");
    }
}
