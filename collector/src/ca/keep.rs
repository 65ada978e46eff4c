//! The authority's two files: made at the first start, read at every other.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::Authority;

pub(super) const KEY: &str = "ca.key";
pub(super) const CERTIFICATE: &str = "ca.pem";

/// How long an authority lives; `vedette-collector ca rotate` replaces it before.
const LIFE: Duration = Duration::days(3650);

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file could not be read, or the folder or a file not be made.
    #[error("cannot read or write {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key may be read by others than its owner.
    #[error("{} has mode {mode:03o}, expected 600: run `chmod 600` on it", path.display())]
    Readable {
        /// The key's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// One of the two files is there and the other is not.
    #[error("{} is missing beside the other file of the authority; restore it, or remove both and enrol every host again", path.display())]
    Half {
        /// The missing one.
        path: PathBuf,
    },
    /// The files do not hold a key and its certificate.
    #[error("{} does not hold what it should: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another authority is here.
    #[error("{} is of another authority than {} holds: a collector's authority is replaced by `vedette-collector ca rotate`", path.display(), from.display())]
    Other {
        /// The key that is here.
        path: PathBuf,
        /// Where the other is.
        from: PathBuf,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

impl Authority {
    /// The authority kept in this folder; made there if the folder holds none.
    ///
    /// # Errors
    /// When the files cannot be read or made, do not belong together, or the key can be read by others.
    pub fn open_or_create(folder: &Path, now: OffsetDateTime) -> Result<Self, CaError> {
        let (key_path, certificate_path) = (folder.join(KEY), folder.join(CERTIFICATE));
        match (key_path.exists(), certificate_path.exists()) {
            (true, true) => Self::open(&key_path, &certificate_path),
            (false, false) => {
                std::fs::create_dir_all(folder).map_err(file(folder))?;
                let (certificate, key) = Self::make("Vedette CA", now)?;
                // The certificate first: a key without one is never used.
                write_new(&certificate_path, super::issue::pem(&certificate).as_bytes(), 0o644)?;
                write_new(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
                Self::new(certificate, key)
            }
            (true, false) => Err(CaError::Half { path: certificate_path }),
            (false, true) => Err(CaError::Half { path: key_path }),
        }
    }

    /// Puts the authority that another folder holds, a mounted secret say, into this one. Nothing changes where it is already.
    ///
    /// # Errors
    /// When another one is here, or what is there makes none; nothing is written then.
    pub fn import(from: &Path, folder: &Path) -> Result<Self, CaError> {
        let read = |name: &str| std::fs::read(from.join(name)).map_err(file(&from.join(name)));
        let (key, certificate) = (read(KEY)?, read(CERTIFICATE)?);
        let (key_path, certificate_path) = (folder.join(KEY), folder.join(CERTIFICATE));
        if std::fs::read(&key_path).is_ok_and(|here| here != key) {
            return Err(CaError::Other { path: key_path, from: from.to_owned() });
        }
        std::fs::create_dir_all(folder).map_err(file(folder))?;
        let (new_key, new_certificate) = (folder.join("import.key"), folder.join("import.pem"));
        replace(&new_key, &key, 0o600)?;
        let imported = replace(&new_certificate, &certificate, 0o644)
            .and_then(|()| Self::open(&new_key, &new_certificate));
        let imported = imported.and_then(|authority| {
            std::fs::rename(&new_certificate, &certificate_path).map_err(file(&certificate_path))?;
            std::fs::rename(&new_key, &key_path).map_err(file(&key_path))?;
            sync_folder(&key_path)?;
            Ok(authority)
        });
        if imported.is_err() {
            drop(std::fs::remove_file(&new_key));
            drop(std::fs::remove_file(&new_certificate));
        }
        imported
    }

    /// A new authority's certificate and key, in no file yet.
    pub(super) fn make(
        name: &str,
        now: OffsetDateTime,
    ) -> Result<(CertificateDer<'static>, KeyPair), CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = authority(name, now).self_signed(&key)?;
        Ok((certificate.der().clone(), key))
    }

    /// The authority of this key, whose certificate is one of those in the other file.
    ///
    /// # Errors
    /// When a file cannot be read, the key can be read by others, or no certificate is for it.
    pub(super) fn open(key_path: &Path, certificate_path: &Path) -> Result<Self, CaError> {
        let mode = std::fs::metadata(key_path).map_err(file(key_path))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CaError::Readable { path: key_path.to_owned(), mode });
        }
        let content = |path: &Path, reason: String| CaError::Content { path: path.to_owned(), reason };
        let key = std::fs::read_to_string(key_path).map_err(file(key_path))?;
        let key = KeyPair::from_pem(&key).map_err(|e| content(key_path, e.to_string()))?;
        let found = certificates(certificate_path)?;
        let certificate =
            found.into_iter().find(|certificate| is_of(certificate, &key)).ok_or_else(|| {
                let key_name = key_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                content(certificate_path, format!("it is for another key than {key_name}"))
            })?;
        Self::new(certificate, key)
    }

    fn new(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, CaError> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        let pem = super::issue::pem(&certificate);
        Ok(Self { certificate, pem, issuer, host_life: super::issue::HOST_LIFE })
    }
}

/// Every certificate in a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let pem = std::fs::read(path).map_err(file(path))?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    found.map_err(|e| CaError::Content { path: path.to_owned(), reason: e.to_string() })
}

fn is_of(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed
        .is_ok_and(|(_, parsed)| parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw())
}

fn authority(name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = now - super::issue::SKEW;
    params.not_after = now + LIFE;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(self::file(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(self::file(path))
}

/// Writes so that a reader, and whoever comes after a crash, sees all of the old or all of the new.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file(&new)(e)),
        _ => {}
    }
    write_new(&new, bytes, mode)?;
    std::fs::rename(&new, path).map_err(file(path))?;
    sync_folder(path)
}

/// Removes a file, if it is there, and makes that last.
pub(super) fn remove(path: &Path) -> Result<(), CaError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file(path)(e)),
        _ => {}
    }
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), CaError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file(folder))
}

pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::File { path, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_start_finds_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let made = Authority::open_or_create(folder.path(), now).unwrap();
        let found = Authority::open_or_create(folder.path(), now).unwrap();
        assert_eq!(made.fingerprint(), found.fingerprint());
        assert_eq!(made.derived_secret("test"), found.derived_secret("test"));
        let mode = std::fs::metadata(folder.path().join(KEY)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        Authority::open_or_create(folder.path(), now).unwrap();
        std::fs::set_permissions(folder.path().join(KEY), std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Authority::open_or_create(folder.path(), now).unwrap_err();
        assert!(matches!(refused, CaError::Readable { mode: 0o644, .. }), "{refused}");
    }

    #[test]
    fn an_authority_is_taken_over_once_and_no_other() {
        let (from, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = OffsetDateTime::now_utc();
        let made = Authority::open_or_create(from.path(), now).unwrap();
        // As a mounted secret has it.
        std::fs::set_permissions(from.path().join(KEY), std::fs::Permissions::from_mode(0o440)).unwrap();
        let folder = home.path().join("collector");
        for _ in 0..2 {
            assert_eq!(Authority::import(from.path(), &folder).unwrap().fingerprint(), made.fingerprint());
        }
        let here = Authority::open_or_create(&folder, now).unwrap();
        assert_eq!(here.fingerprint(), made.fingerprint());
        let other = tempfile::tempdir().unwrap();
        Authority::open_or_create(other.path(), now).unwrap();
        assert!(matches!(Authority::import(other.path(), &folder), Err(CaError::Other { .. })));
        let empty = home.path().join("empty");
        std::fs::copy(other.path().join(KEY), from.path().join(KEY)).unwrap();
        assert!(matches!(Authority::import(from.path(), &empty), Err(CaError::Content { .. })));
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "nothing is left of what is none");
    }

    #[test]
    fn half_an_authority_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        Authority::open_or_create(folder.path(), now).unwrap();
        std::fs::remove_file(folder.path().join(CERTIFICATE)).unwrap();
        assert!(matches!(Authority::open_or_create(folder.path(), now), Err(CaError::Half { .. })));
    }

    #[test]
    fn a_certificate_for_another_key_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = OffsetDateTime::now_utc();
        Authority::open_or_create(one.path(), now).unwrap();
        Authority::open_or_create(two.path(), now).unwrap();
        std::fs::copy(two.path().join(CERTIFICATE), one.path().join(CERTIFICATE)).unwrap();
        assert!(matches!(Authority::open_or_create(one.path(), now), Err(CaError::Content { .. })));
    }
}
