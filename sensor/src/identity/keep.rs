//! The identity's files: written all at once or not at all, and never readable by others.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{Identity, Mismatch};

const HOST: &str = "host.pem";
const CA: &str = "ca.pem";
const COLLECTORS: &str = "collectors";

/// Why there is no identity, or it was not kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The host was never enrolled, or under another home.
    #[error(
        "this host is not enrolled (no {}): make a token with `vedette enroll-token create` and run the command it prints",
        path.display()
    )]
    NotEnrolled {
        /// The missing file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key may be read by others than its owner.
    #[error("{} has mode {mode:03o}, expected 600: run `chmod 600` on it", path.display())]
    Readable {
        /// The file with the key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {expected}; enrol the host again with --force", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The files do not belong together.
    #[error("the identity in {} does not hold together: {source}; enrol the host again with --force", path.display())]
    Mismatch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Mismatch,
    },
}

impl Identity {
    /// Whether a host was enrolled here, whatever state its files are in.
    pub fn exists(folder: &Path) -> bool {
        folder.join(HOST).exists()
    }

    /// Reads the identity kept in this folder.
    ///
    /// # Errors
    /// When the host is not enrolled, or the files cannot be used; says what to do.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(HOST);
        let mode = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.mode() & 0o777,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(IdentityError::NotEnrolled { path });
            }
            Err(source) => return Err(IdentityError::File { verb: "read", path, source }),
        };
        if mode & 0o077 != 0 {
            return Err(IdentityError::Readable { path, mode });
        }
        let content = |path: &Path, expected| IdentityError::Content { path: path.to_owned(), expected };
        let text = read(&path)?;
        let certificate =
            CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| content(&path, "a certificate"))?;
        // rcgen takes the first section of a text, whatever it is; here that is the certificate.
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .ok()
            .and_then(|der| KeyPair::try_from(&der).ok())
            .ok_or_else(|| content(&path, "a key"))?;
        let ca_path = folder.join(CA);
        let trusted = CertificateDer::pem_slice_iter(read(&ca_path)?.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|trusted| !trusted.is_empty())
            .ok_or_else(|| content(&ca_path, "a certificate"))?;
        let collectors = read(&folder.join(COLLECTORS))?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        Self::try_new(certificate, key, trusted, collectors)
            .map_err(|source| IdentityError::Mismatch { path: folder.to_owned(), source })
    }

    /// Writes the whole identity: at enrolment. The certificate comes last, as it is what makes a host enrolled.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| IdentityError::File { verb: "make", path: folder.to_owned(), source })?;
        self.save_trusted(folder)?;
        write(&folder.join(COLLECTORS), &(self.collectors.join("\n") + "\n"), 0o644)?;
        self.save_certificate(folder)
    }

    /// Writes the authorities that are trusted: when they change.
    ///
    /// # Errors
    /// When the file cannot be written; then those of before are still there.
    pub fn save_trusted(&self, folder: &Path) -> Result<(), IdentityError> {
        let text: String = self.trusted.iter().map(|authority| pem("CERTIFICATE", authority)).collect();
        write(&folder.join(CA), &text, 0o644)
    }

    /// Writes the certificate and its key: at renewal.
    ///
    /// # Errors
    /// When the file cannot be written; then the old one is still there.
    pub fn save_certificate(&self, folder: &Path) -> Result<(), IdentityError> {
        let text = pem("CERTIFICATE", &self.certificate) + &self.key.serialize_pem();
        write(&folder.join(HOST), &text, 0o600)
    }
}

/// Something in DER as PEM.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let new = path.with_extension("new");
    let write = || {
        // A leftover of a crash may have another mode.
        match std::fs::remove_file(&new) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(|source| IdentityError::File { verb: "write", path: path.to_owned(), source })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, SanType};

    use super::*;

    fn identity() -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = "urn:uuid:0197c1de-93b4-7f00-8000-000000000000";
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let collectors = vec!["one:7443".to_owned(), "[::1]:7443".to_owned()];
        Identity::try_new(certificate.clone(), key, vec![certificate], collectors).unwrap()
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("sensor");
        assert!(matches!(Identity::load(&folder), Err(IdentityError::NotEnrolled { .. })));
        let identity = identity();
        identity.save(&folder).unwrap();
        let again = Identity::load(&folder).unwrap();
        assert_eq!(again.host, identity.host);
        assert_eq!(again.collectors, identity.collectors);
        assert_eq!(again.key().serialized_der(), identity.key().serialized_der());
        assert_eq!(std::fs::metadata(folder.join(HOST)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        identity().save(folder.path()).unwrap();
        std::fs::set_permissions(folder.path().join(HOST), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Identity::load(folder.path()), Err(IdentityError::Readable { mode: 0o640, .. })));
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (identity(), identity());
        one.save(folder.path()).unwrap();
        let mixed = pem("CERTIFICATE", one.certificate()) + &two.key().serialize_pem();
        write(&folder.path().join(HOST), &mixed, 0o600).unwrap();
        assert!(matches!(
            Identity::load(folder.path()),
            Err(IdentityError::Mismatch { source: Mismatch::Key, .. })
        ));
    }
}
