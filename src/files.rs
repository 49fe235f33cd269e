//! Files are read whole and through one door, so that it can be told later whether what was read has changed.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub mod problem;
pub mod reload;

/// Reads a file whole; the bytes are zeroed when dropped.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<Zeroizing<Vec<u8>>> + 'a;

/// The usual [`ReadFile`].
///
/// # Errors
/// What the system has against it.
pub fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    fs::read(path).map(Zeroizing::new)
}

/// Which files were read, in which order, and the SHA-256 of what came of it. No byte of them is kept.
pub(crate) struct Reading {
    files: Vec<PathBuf>,
    sha256: [u8; 32],
}

impl Reading {
    /// What `load` makes of the files, and what it read: the very bytes that were handed to it.
    pub(crate) fn of<T>(load: impl FnOnce(&ReadFile<'_>) -> T) -> (T, Self) {
        let noted = RefCell::new((Vec::new(), Sha256::new()));
        let loaded = load(&|path| {
            let read = read_file(path);
            let (files, sha256) = &mut *noted.borrow_mut();
            sha256.update(length(path.as_os_str().as_encoded_bytes()));
            sha256.update(path.as_os_str().as_encoded_bytes());
            match &read {
                Ok(bytes) => {
                    sha256.update(length(bytes));
                    sha256.update(bytes);
                }
                // No file has this length.
                Err(error) => {
                    sha256.update(u64::MAX.to_le_bytes());
                    sha256.update(error.raw_os_error().unwrap_or_default().to_le_bytes());
                }
            }
            files.push(path.to_owned());
            read
        });
        let (files, sha256) = noted.into_inner();
        (loaded, Self { files, sha256: sha256.finalize().into() })
    }

    /// Whether the files, read once more, give the same.
    pub(crate) fn is_current(&self) -> bool {
        // What each reading gives is in the sum, errors too.
        let again = Self::of(|read| self.files.iter().for_each(|file| drop(read(file)))).1;
        self.is_same(&again)
    }

    /// Whether both found the same in the same files.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

fn length(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_le_bytes()
}
