//! What is at the bottom of a call that failed.

use std::error::Error;
use std::io;

/// Why the collector's certificate was not believed, if that is what happened.
pub(super) fn certificate(error: &reqwest::Error) -> Option<&rustls::CertificateError> {
    causes(error).find_map(|cause| match cause.downcast_ref()? {
        rustls::Error::InvalidCertificate(wrong) => Some(wrong),
        _ => None,
    })
}

/// The innermost cause: what the system said.
pub(crate) fn root(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        // What an I/O error wraps is not its source, but takes its place.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}
