//! Reads files whole, and notes what was read, so that a later check can tell whether it has changed.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub mod problem;
pub mod reload;

/// Reads a file whole. The bytes are zeroed when dropped.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<Zeroizing<Vec<u8>>> + 'a;

/// Reads a file from disk, as a [`ReadFile`].
///
/// # Errors
/// If the system cannot read the file.
pub fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    fs::read(path).map(Zeroizing::new)
}

/// Which files were read, in which order, and the SHA-256 of the results. No byte of a file is kept.
pub(crate) struct Reading {
    files: Vec<PathBuf>,
    sha256: [u8; 32],
}

impl Reading {
    /// The result of `load`, and what it read.
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

    /// Whether the files, read again, give the same.
    pub(crate) fn is_current(&self) -> bool {
        // The sum has the result of each read, errors too.
        let again = Self::of(|read| self.files.iter().for_each(|file| drop(read(file)))).1;
        self.is_same(&again)
    }

    /// Whether both read the same from the same files.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

fn length(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_le_bytes()
}
